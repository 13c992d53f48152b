"""The leak check: what was written is read back and compared across the two sides, by other means than made it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tuning.dataset.dataset import ATTRIBUTION, Split
from tuning.dataset.leaks.lines import Lines, Place, Written, lines_at, places_of, texts_of
from tuning.dataset.similar.decontaminate import SIZE, benchmark_shingles
from tuning.dataset.similar.minhash import PAIRS
from tuning.dataset.similar.shingles import Hashes, comparer, shingles, text_keys
from tuning.dataset.similar.similarity_join import Entries, Prefixes, common_shingles, prefixes
from tuning.dataset.workspace.parallel import In, Out, Workers
from tuning.dataset.workspace.parts import Column
from tuning.dataset.workspace.store import Store
from tuning.errors import TuningError
from tuning.gcs.object_file import Source

_WORTH_WORKERS = 4  # blocks: fewer are read before workers have started
_COMMON = "common.npy"
KINDS = ("question", "answer")


class Leaks(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the evaluation side can be seen from the training side."""

    question_ids: int  # on both sides
    answer_ids: int
    groups: int
    near_questions: int  # evaluation examples whose question is near or equal to a training example's
    near_answers: int
    benchmark: int  # examples of either side that share 13 words in a row with the benchmark file
    examples: list[str] = []  # the first few, in words

    @property
    def total(self) -> int:
        return sum(getattr(self, name) for name in self.__struct_fields__ if name != "examples")


def find_leaks(written: Written, scratch: Store, workers: Workers) -> Leaks:
    """Read every line back and compare the sides. What `scratch` gets is smaller than the evaluation side.

    Raises TuningError where a line is not of its format.
    """
    shared = _shared_ids(written.files[ATTRIBUTION])
    places = list(places_of(written.files))
    blocks = list(_over(workers, _read_block, [_Job(written, place) for place in places]))
    lines = Lines(written, np.concatenate([block.sizes for block in blocks]))
    keys = {kind: np.concatenate([block.keys[kind] for block in blocks]) for kind in KINDS}
    near = _near(written, lines, places, keys, scratch, workers)
    contaminated = [line for block in blocks for line in block.contaminated]
    return Leaks(
        question_ids=len(shared["question_id"]),
        answer_ids=len(shared["answer_id"]),
        groups=len(shared["group"]),
        near_questions=len(near["question"]),
        near_answers=len(near["answer"]),
        benchmark=len(contaminated),
        examples=[
            *(f"{name} {values[0]} on both sides" for name, values in shared.items() if len(values)),
            *(f"the {kind} of {lines.name(line)} is also in training" for kind in KINDS for line in near[kind][:3]),
            *(f"{lines.name(line)} has text of the benchmark" for line in contaminated[:3]),
        ],
    )


def refuse_leaks(leaks: Leaks) -> None:
    """TuningError where anything leaks."""
    if leaks.total:
        raise TuningError(
            f"the split leaks in {leaks.total} places, such as {leaks.examples[0]}", "Please report it as a defect"
        )


class _Job(msgspec.Struct, frozen=True):
    """One block of lines to read."""

    written: Written
    place: Place


class _Block(msgspec.Struct, frozen=True):
    """What a worker found in a block of lines."""

    keys: dict[str, Hashes]  # by kind
    sizes: Column  # of the lines, in bytes
    contaminated: list[int]


def _read_block(job: _Job) -> _Block:
    lines = lines_at(job.place)
    texts = [texts_of(job.written, line) for line in lines]
    path, first = job.written.options.decontaminate, job.place[3]
    return _Block(
        keys={kind: text_keys([text[kind] for text in texts]) for kind in KINDS},
        sizes=np.fromiter(map(len, lines), np.int64, len(lines)),
        contaminated=[first + at for at, text in enumerate(texts) if path and _is_contaminated(path, text.values())],
    )


def _near(
    written: Written,
    lines: "Lines",
    places: Sequence[Place],
    keys: dict[str, Hashes],
    scratch: Store,
    workers: Workers,
) -> dict[str, list[int]]:
    """By kind, numbers of the evaluation lines whose text is equal or near to that of a training line."""
    border = written.train_rows
    equal = {kind: np.isin(those[border:], those[:border]) for kind, those in keys.items()}
    found = {kind: set((border + np.flatnonzero(those)).tolist()) for kind, those in equal.items()}
    unsettled = {kind: border + np.flatnonzero(~those) for kind, those in equal.items() if not those.all()}
    if unsettled:
        scratch.save(_COMMON, _common(written, places))
        evaluation = [place for place in places if place[3] >= border]
        firsts = [place[3] for place in evaluation[1:]]
        divided = {kind: np.split(those, np.searchsorted(those, firsts)) for kind, those in unsettled.items()}
        jobs = [
            _PrefixJob(written, place, scratch, {kind: those[at] for kind, those in divided.items()})
            for at, place in enumerate(evaluation)
        ]
        parts = list(_over(workers, _prefixes, jobs))
        for kind in unsettled:
            Prefixes.write([part[kind] for part in parts], scratch.within(kind))
        look_ups = [_LookUp(written, place, scratch, list(unsettled)) for place in places if place[3] < border]
        pairs = list(_over(workers, _candidates, look_ups))
        for kind in unsettled:
            _confirm(written, lines, kind, np.concatenate([part[kind] for part in pairs]), found[kind])
    return {kind: sorted(those) for kind, those in found.items()}


class _PrefixJob(msgspec.Struct, frozen=True):
    """A block of evaluation lines, and by kind the numbers of those whose text is not in training as it is."""

    written: Written
    place: Place
    scratch: Store
    numbers: dict[str, Column]


def _prefixes(job: _PrefixJob) -> dict[str, Entries]:
    common = job.scratch.load(_COMMON)
    first = job.place[3]
    texts = [texts_of(job.written, line) for line in lines_at(job.place)]
    return {
        kind: prefixes([texts[number - first][kind] for number in numbers.tolist()], numbers, common)
        for kind, numbers in job.numbers.items()
    }


class _LookUp(msgspec.Struct, frozen=True):
    """A block of training lines to be looked up among the prefixes of these kinds."""

    written: Written
    place: Place
    scratch: Store
    kinds: list[str]


def _candidates(job: _LookUp) -> dict[str, Hashes]:
    texts = [texts_of(job.written, line) for line in lines_at(job.place)]
    return {
        kind: Prefixes.open(job.scratch.within(kind)).candidates([text[kind] for text in texts], job.place[3])
        for kind in job.kinds
    }


def _confirm(written: Written, lines: "Lines", kind: str, pairs: Hashes, found: set[int]) -> None:
    """Add to `found` the evaluation line of each pair whose similarity, computed exactly, reaches the threshold."""
    is_near = comparer(lambda number: texts_of(written, lines.read(number))[kind])
    ordered = np.sort(pairs)  # so that the candidates of one evaluation line stand in a row
    for at in range(0, len(ordered), PAIRS):
        some = [
            (pair >> 32, pair & 0xFFFFFFFF) for pair in ordered[at : at + PAIRS].tolist() if pair >> 32 not in found
        ]
        lines.expect(np.unique(np.array(some, dtype=np.int64)))
        for line, other in some:
            if line not in found and is_near(other, line):
                found.add(line)


def _over(workers: Workers, function: Callable[[In], Out], jobs: Sequence[In]) -> Iterator[Out]:
    return workers.map(function, jobs, is_long=len(jobs) > _WORTH_WORKERS)


class _Ids(msgspec.Struct, frozen=True):
    split: Split
    question_id: int
    answer_id: int
    group: int


def _shared_ids(source: Source) -> dict[str, Column]:
    decoder = msgspec.json.Decoder(_Ids)
    with source.open("rb") as file:
        rows = np.array(
            [(one.split == "eval", one.question_id, one.answer_id, one.group) for one in map(decoder.decode, file)]
        )
    side = rows[:, 0].astype(np.bool_)
    names = ("question_id", "answer_id", "group")
    return {name: np.intersect1d(rows[~side, at], rows[side, at]) for at, name in enumerate(names, 1)}


def _common(written: Written, places: Sequence[Place]) -> npt.NDArray[np.bool_]:
    """What a twentieth of the lines, at least one block and at most eight, have in common."""
    chosen = places[:: max(20, len(places) // 8)]
    return common_shingles(
        [text for place in chosen for line in lines_at(place) for text in texts_of(written, line).values()]
    )


def _is_contaminated(path: Path, texts: Iterable[str]) -> bool:
    return any(not shingles(text, SIZE).isdisjoint(benchmark_shingles(path)) for text in texts)

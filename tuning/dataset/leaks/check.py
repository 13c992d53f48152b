"""Check for leaks: read the written files and compare the two splits, independently of the code that split them.

Only the definition of near duplicates (`tuning.dataset.similar.shingles`) is that of the code that split them. Equal
texts are found by their bytes. A test also compares the splits by their characters, without words and shingles.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tuning.dataset.dataset import ATTRIBUTION, Split
from tuning.dataset.leaks.lines import Lines, Place, Written, lines_at, places_of, texts_of
from tuning.dataset.similar.decontaminate import read_benchmark
from tuning.dataset.similar.minhash import PAIRS
from tuning.dataset.similar.shingles import Hashes, comparer, is_short, text_keys
from tuning.dataset.similar.similarity_join import Entries, Prefixes, common_shingles, prefixes
from tuning.dataset.workspace.parallel import In, Out, Workers
from tuning.dataset.workspace.parts import Column
from tuning.dataset.workspace.store import Store
from tuning.errors import TuningError
from tuning.gcs.object_file import Source
from tuning.progress import progress

_WORTH_WORKERS = 4  # blocks. Up to this number, reading them takes less time than starting workers
_COMMON = "common.npy"
KINDS = ("question", "answer")
_SHORT = "short answer"
_NO_TEXT = text_keys([""])[0]


class Leaks(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how much of the eval split also occurs in the train split or in the benchmark file."""

    question_ids: int  # number of question ids that are in both splits; the next two count the same way
    answer_ids: int
    groups: int
    near_questions: int  # number of eval examples whose question equals or nearly equals one in train
    near_answers: int
    short_answers: int = 0  # number of eval examples whose short answer is also in train, which is not a leak
    benchmark: int  # number of examples, in either split, with a text of the benchmark
    examples: list[str] = []  # descriptions of the first few leaks

    @property
    def total(self) -> int:
        """Return the sum of the counts of leaks."""
        return sum(getattr(self, name) for name in self.__struct_fields__ if name not in ("short_answers", "examples"))


def find_leaks(written: Written, scratch: Store, workers: Workers) -> Leaks:
    """Read every line and compare the two splits. The files written to `scratch` are smaller than the eval split.

    Raises TuningError if a line does not match its format or a request to Cloud Storage fails.
    """
    shared = _shared_ids(written.files[ATTRIBUTION])
    places = list(places_of(written.files))
    blocks = list(_over(workers, _read_block, [_Job(written, place) for place in places]))
    lines = Lines(written, np.concatenate([block.sizes for block in blocks]))
    keys = {kind: np.concatenate([block.keys[kind] for block in blocks]) for kind in (*KINDS, _SHORT)}
    near = _near(written, lines, places, keys, scratch, workers)
    contaminated = [line for block in blocks for line in block.contaminated]
    return Leaks(
        question_ids=len(shared["question_id"]),
        answer_ids=len(shared["answer_id"]),
        groups=len(shared["group"]),
        near_questions=len(near["question"]),
        near_answers=len(near["answer"]),
        short_answers=_shared_short(keys[_SHORT], written.train_rows),
        benchmark=len(contaminated),
        examples=[
            *(f"{name} {values[0]} is in both splits" for name, values in shared.items() if len(values)),
            *(f"the {kind} of {lines.name(line)} is also in train.jsonl" for kind in KINDS for line in near[kind][:3]),
            *(f"{lines.name(line)} contains text of the benchmark file" for line in contaminated[:3]),
        ],
    )


def refuse_leaks(leaks: Leaks) -> None:
    """Raise TuningError if there is a leak."""
    if leaks.total:
        raise TuningError(
            f"the leak check found leaks ({leaks.total} in total), for example: {leaks.examples[0]}",
            "Please report this as a bug",
        )


class _Job(msgspec.Struct, frozen=True):
    """Describe one block of lines to read."""

    written: Written
    place: Place


class _Block(msgspec.Struct, frozen=True):
    """Hold what a worker has computed for a block of lines."""

    keys: dict[str, Hashes]  # by kind
    sizes: Column  # of the lines, in bytes
    contaminated: list[int]  # numbers of the lines that share text with the benchmark file


def _read_block(job: _Job) -> _Block:
    lines = lines_at(job.place)
    texts = [_divided(texts_of(job.written, line)) for line in lines]
    path, first = job.written.options.decontaminate, job.place[3]
    return _Block(
        keys={kind: text_keys([text[kind] for text in texts]) for kind in (*KINDS, _SHORT)},
        sizes=np.fromiter(map(len, lines), np.int64, len(lines)),
        contaminated=[first + at for at in _contaminated(path, texts)] if path else [],
    )


def _near(
    written: Written,
    lines: "Lines",
    places: Sequence[Place],
    keys: dict[str, Hashes],
    scratch: Store,
    workers: Workers,
) -> dict[str, list[int]]:
    """Return by kind the numbers of the eval lines whose text equals or nearly equals that of a train line."""
    border = written.train_rows
    equal = {kind: np.isin(keys[kind][border:], keys[kind][:border]) for kind in KINDS}
    is_text = {kind: keys[kind][border:] != _NO_TEXT for kind in KINDS}
    leaked = {kind: set((border + np.flatnonzero(equal[kind] & is_text[kind])).tolist()) for kind in KINDS}
    remaining = {kind: border + np.flatnonzero(~equal[kind] & is_text[kind]) for kind in KINDS}
    remaining = {kind: numbers for kind, numbers in remaining.items() if len(numbers)}
    if remaining and border:
        scratch.save(_COMMON, _common(written, places))
        evaluation = [place for place in places if place[3] >= border]
        firsts = [place[3] for place in evaluation[1:]]
        divided = {kind: np.split(numbers, np.searchsorted(numbers, firsts)) for kind, numbers in remaining.items()}
        jobs = [
            _PrefixJob(written, place, scratch, {kind: numbers[at] for kind, numbers in divided.items()})
            for at, place in enumerate(evaluation)
        ]
        parts = list(_over(workers, _prefixes, jobs))
        for kind in remaining:
            Prefixes.write([part[kind] for part in parts], scratch.within(kind))
        look_ups = [_LookUp(written, place, scratch, list(remaining)) for place in places if place[3] < border]
        pairs = list(_over(workers, _candidates, look_ups))
        for kind in remaining:
            _confirm(written, lines, kind, np.concatenate([part[kind] for part in pairs]), leaked[kind])
    return {kind: sorted(numbers) for kind, numbers in leaked.items()}


class _PrefixJob(msgspec.Struct, frozen=True):
    """Describe a block of eval lines. `numbers` has by kind the lines whose text equals no text of the train split."""

    written: Written
    place: Place
    scratch: Store
    numbers: dict[str, Column]


def _prefixes(job: _PrefixJob) -> dict[str, Entries]:
    common = job.scratch.load(_COMMON)
    first = job.place[3]
    texts = [_divided(texts_of(job.written, line)) for line in lines_at(job.place)]
    return {
        kind: prefixes([texts[number - first][kind] for number in numbers.tolist()], numbers, common)
        for kind, numbers in job.numbers.items()
    }


class _LookUp(msgspec.Struct, frozen=True):
    """Describe a block of train lines to look up in the prefixes of these kinds."""

    written: Written
    place: Place
    scratch: Store
    kinds: list[str]


def _candidates(job: _LookUp) -> dict[str, Hashes]:
    texts = [_divided(texts_of(job.written, line)) for line in lines_at(job.place)]
    return {
        kind: Prefixes.open(job.scratch.within(kind)).candidates([text[kind] for text in texts], job.place[3])
        for kind in job.kinds
    }


def _confirm(written: Written, lines: "Lines", kind: str, pairs: Hashes, leaked: set[int]) -> None:
    """Add to `leaked` the eval line of each pair whose exact similarity reaches the threshold."""
    is_near = comparer(lambda number: texts_of(written, lines.read(number))[kind])
    ordered = np.sort(pairs)  # puts the candidates of one eval line next to each other
    for at in range(0, len(ordered), PAIRS):
        some = [
            (pair >> 32, pair & 0xFFFFFFFF) for pair in ordered[at : at + PAIRS].tolist() if pair >> 32 not in leaked
        ]
        lines.expect(np.unique(np.array(some, dtype=np.int64)))
        for line, other in some:
            if line not in leaked and is_near(other, line):
                leaked.add(line)


def _divided(texts: dict[str, str]) -> dict[str, str]:
    """Return the texts with a short answer as another kind of text, because it is compared with nothing."""
    answer = texts["answer"]
    return {**texts, "answer": "", _SHORT: answer} if is_short(answer) else {**texts, _SHORT: ""}


def _shared_short(keys: Hashes, border: int) -> int:
    train, evaluation = keys[:border], keys[border:]
    return int(np.isin(evaluation[evaluation != _NO_TEXT], train).sum())


def _over(workers: Workers, function: Callable[[In], Out], jobs: Sequence[In]) -> Iterator[Out]:
    with progress("looking for leaks", len(jobs), "parts") as advance:
        for result in workers.map(function, jobs, is_long=len(jobs) > _WORTH_WORKERS):
            advance(1)
            yield result


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
    """Return which shingles are common in a sample: a twentieth of the blocks, but at least one and at most nine."""
    chosen = places[:: max(20, len(places) // 8)]
    return common_shingles(
        [text for place in chosen for line in lines_at(place) for text in texts_of(written, line).values()]
    )


def _contaminated(path: Path, texts: Sequence[dict[str, str]]) -> list[int]:
    """Return which examples, given as their texts by kind, have a text of the benchmark."""
    matches = [read_benchmark(path).find([text[kind] for text in texts]) for kind in (*KINDS, _SHORT)]
    return [at for at, found in enumerate(zip(*matches, strict=True)) if any(found)]

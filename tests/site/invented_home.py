"""A home with runs, datasets and models that were written by hand, and with scripts planted in every text."""

import itertools
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tests.evaluation.scored import evaluation, nobody
from tests.pipelines.small_dataset import attribution, example, write_dataset
from tests.registry.candidates import register
from tuning.dataset.dataset import Attribution, Dataset
from tuning.dataset.formats.codec import encode
from tuning.dataset.formats.records import Example, Message
from tuning.evaluation.compare import compare
from tuning.evaluation.gate import judge
from tuning.evaluation.options import GateOptions
from tuning.evaluation.records import Asked, AskedQuestion, Evaluation
from tuning.pipelines.outcome import Step
from tuning.pipelines.release.record import COMPARISON, REPORT, VERDICT, RunRecord
from tuning.records import encode_record, write_record
from tuning.registry import registry
from tuning.settings import PROJECT_ROOT, Settings
from tuning.sources.served.answers import ServedAnswer, log_file
from tuning.storage import write_bytes
from tuning.tuners.hf.train.curves import Curves, Point, write_curves
from tuning.tuners.hf.train.recipe import make_recipe
from tuning.tuners.protocol import Model, TuneOptions

EVIL = '<script>document.title = "planted"</script></script><img src="x" onerror="document.title = \'planted\'">\u202e'
LINK = "javascript:document.title='planted'"
FIRST, SECOND, FAILED = "20260101-100000-aaaaaa", "20260102-100000-bbbbbb", "20260103-100000-cccccc"
OPTIONS = GateOptions(resamples=500)
PARTS = ("read_", "list", "data", "frame", "py", "to_", "json", "index", "value", "group")  # of invented words
GOLDEN = PROJECT_ROOT / "tests" / "pipelines" / "golden" / "tune_python_qa.yaml"
SOLVING = "Use `sum`:\n\n```python\nvalues = [1, 2]\nprint(sum(values))  # adds them up\n```\n"
FAILING = "Use `sum`:\n\n```python\nvalues = [1, 2]\nprint(values)\n```\n"


def make_home(settings: Settings, work: Path) -> None:
    """Write two datasets, two versions of which the second is the champion, three runs of which one failed, and a log.

    The base has another loss in the second run. The log of served answers has three days: 2, 4 and 6 answers, of which
    half are refused.
    """
    for day in (1, 2, 3):
        when = datetime(2026, 2, day, 12, tzinfo=UTC)
        lines = [served(when, number, f"v{1 + day // 2}") for number in range(2 * day)]
        write_bytes(log_file(settings, when.date()), b"".join(lines + [b"{damaged\n"] * (day == 2)))
    first = planted_dataset(settings.datasets_dir / "d1")
    second = write_dataset(settings.datasets_dir / "d2", train=30, evaluation=20, first_question=5000, tag="numpy")
    for run_id, dataset, solved in ((FIRST, first, 20), (SECOND, second, 36)):
        finished_run(settings, work / run_id, run_id, dataset, solved)
    registry.promote(settings, "v2", force=True, reason=f"I read 20 answers {EVIL}")
    record = RunRecord(
        id=FAILED,
        status="failed",
        started_at="2026-01-03T10:00:00+00:00",
        pipeline="tune-python-qa",
        base_model="tiny",
        error=f"no {EVIL}",
    )
    write_record(settings.runs_dir / FAILED / "run.json", record)


def served(when: datetime, number: int, version: str) -> bytes:
    """A line of the log: every second answer is refused, and each takes half a second more than the one before."""
    answer = ServedAnswer(
        answer_id="a",
        answered_at=when,
        model_version=version,
        question=EVIL,
        answer=EVIL,
        finish_reason="STOP",
        prompt_tokens=5,
        answer_tokens=7,
        milliseconds=500 * (number + 1),
        characters=100,
        has_code=True,
        is_refusal=number % 2 == 1,
        is_empty=False,
        is_loop=False,
        is_truncated=False,
        parsing_share=None if number % 2 else 50.0,
    )
    return encode_record(answer) + b"\n"


def planted_dataset(folder: Path) -> Dataset:
    """A dataset with 110 plain examples and one whose every text is planted."""
    dataset = write_dataset(folder, train=80, evaluation=30)
    question = f"{EVIL} [link]({LINK})\n\nA question {EVIL}\n\n```python\nprint('{EVIL}')\n```"
    planted = Example((Message("system", EVIL), Message("user", question)), f"{EVIL} [here]({LINK})")
    rows = msgspec.json.decode((folder / "attribution.jsonl").read_text().splitlines()[-1], type=Attribution)
    values = {name: LINK for name in Attribution.__struct_fields__ if name.endswith("_url")}
    values |= {name: EVIL for name in Attribution.__struct_fields__ if name.endswith(("_author", "_license"))}
    about = msgspec.structs.replace(
        rows, **values, example_id="1-2", line=rows.line + 1, tags=[EVIL], changes=["redacted 2 EMAIL", EVIL]
    )
    for name, line in (("eval", encode("messages", planted)), ("attribution", msgspec.json.encode(about))):
        with (folder / f"{name}.jsonl").open("ab") as file:
            file.write(line + b"\n")
    return dataset


def large_dataset(folder: Path, rows: int) -> Dataset:
    """A dataset with this number of training examples. Each answer has 120 of 100,000 words, some of them often.

    The answer of the row 12,345 has the word zyzzyva between the others.
    """
    dataset = write_dataset(folder, train=1, evaluation=1)
    draw = random.Random(0)  # noqa: S311 - invented words
    vocabulary = [f"{draw.choice(PARTS)}{draw.choice(PARTS)}{number:x}" for number in range(100_000)]
    weights = list(itertools.accumulate(1 / (10 + number) for number in range(len(vocabulary))))
    with (folder / "train.jsonl").open("wb") as file, (folder / "attribution.jsonl").open("wb") as about:
        for number in range(rows):
            words = draw.choices(vocabulary, cum_weights=weights, k=120)
            words[60] = "Zyzzyva" if number == 12_345 else words[60]
            plain = example(number % 20)
            file.write(encode("messages", Example(plain.prompt, f"{plain.answer} {' '.join(words)}")) + b"\n")
            about.write(msgspec.json.encode(attribution(10_000 + number, "train", number, "python")) + b"\n")
        about.write(msgspec.json.encode(attribution(1, "eval", 0, "python")) + b"\n")
    facts = msgspec.structs.replace(dataset.manifest.files["train.jsonl"], rows=rows)
    manifest = msgspec.structs.replace(dataset.manifest, files=dataset.manifest.files | {"train.jsonl": facts})
    write_record(folder / "manifest.json", manifest)
    return dataset


def asked(evaluated: Evaluation, solved: int) -> Evaluation:
    """The evaluation with 40 how-to questions, of which the model solves the first `solved`."""
    questions = [
        AskedQuestion(
            topic=f"topic {number}",
            question=f"How do I add up list {number}? {EVIL}\n\nI have `values`. {EVIL}",
            reference=SOLVING,
            check="assert printed(3)",
            answer=SOLVING if number < solved else f"{FAILING}{EVIL}",
            finish_reason="STOP",
            scores={"executed": 100.0 * (number < solved), "runs": 100.0, "code": 100.0, "loop": 0.0, "empty": 0.0},
            printed="3\n" if number < solved else f"[1, 2] {EVIL}",
            error="" if number < solved else f"AssertionError {EVIL}",
        )
        for number in range(40)
    ]
    return msgspec.structs.replace(
        evaluated, asked=Asked(suite="judging", protection="namespaces", questions=questions)
    )


def finished_run(settings: Settings, work: Path, run_id: str, dataset: Dataset, solved: int) -> None:
    losses = [2.0 + number / 100 + (run_id == SECOND) / 10 for number in range(40)]
    base = asked(evaluation("base", losses, answers=[EVIL] * 5), 25)
    tuned = asked(evaluation("tuned", [loss - 0.25 for loss in losses], answers=["use a list"] * 5), solved)
    comparison = compare({"base": base, "tuned": tuned, "champion": nobody()}, "loss", OPTIONS, {})
    verdict = judge(comparison, OPTIONS)
    work.mkdir(parents=True)
    (work / "weights.bin").write_bytes(run_id.encode())
    points = [Point(step, 3.0 - step / 20) for step in range(1, 20)]
    write_curves(work, Curves(train=points, development=points[4::5]))
    options = TuneOptions(steps=solved, learning_rate=0.001, quantize="4bit" if run_id == SECOND else "")
    recipe = msgspec.to_builtins(make_recipe(options, preference=False))
    version = register(
        settings,
        Model(tuner="hf", base_model="smollm2", uri="", facts={"recipe": recipe, "steps": solved}),
        work,
        run_id=run_id,
        dataset_id=dataset.id,
        verdict=verdict,
        options=msgspec.to_builtins(options),
    )
    folder = settings.runs_dir / run_id
    seconds = {"build": 30.0, "validate": 0.5, "tune": 120.0, "evaluate-base": 0.0, "evaluate-champion": 0.2}
    seconds |= {"evaluate-tuned": 80.0, "compare": 2.0, "gate": 0.4, "report": 0.3}
    record = RunRecord(
        id=run_id,
        status="succeeded",
        started_at=f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T10:00:00+00:00",
        seconds=240.0,
        host="here",
        pipeline="tune-python-qa",
        dataset_id=dataset.id,
        steps=[Step(name=name, seconds=took, cached=not took) for name, took in seconds.items()],
        version=version,
        verdict=verdict.status,
    )
    for name, value in (("run.json", record), (COMPARISON, comparison), (VERDICT, verdict)):
        write_record(folder / name, value)
    (folder / "run.yaml").write_text("steps: 20\nlearning-rate: 0.001\n")
    (folder / REPORT).write_text("<!doctype html><title>report</title>")
    shutil.copy(GOLDEN, folder / "pipeline.yaml")

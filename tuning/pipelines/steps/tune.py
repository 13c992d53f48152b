"""The steps that prepare and tune, as plain functions over artifacts: what the KFP components call."""

import shutil
from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset, Split, open_dataset
from tuning.errors import TuningError
from tuning.evaluation.sample import stable_sample
from tuning.gcs.object_file import Source
from tuning.pipelines.steps.hashing import contents_sha256
from tuning.pipelines.steps.process import Artifact, log_metrics, output_folder
from tuning.pipelines.steps.requests import TuningRequest, key_of, read_request
from tuning.pipelines.steps.validation import CHECKED, SAMPLED, Checked, checked_dataset
from tuning.registry.model_folder import TRAINED_ON, WEIGHTS, write_model, write_training_ids
from tuning.settings import load_settings
from tuning.storage import sha256_of, write_json
from tuning.tuners.protocol import Problem
from tuning.tuners.select import find_tuner

_SPLITS: tuple[Split, Split] = ("train", "eval")
MINIMUM_EVALUATION = 5  # rows; with fewer not even an undecided verdict means anything


def validate(dataset: Artifact, tuner: str, checked: Artifact) -> None:
    """Check a dataset against its own manifest and the tuner's limits; derive a smaller evaluation set where needed."""
    opened = open_dataset(Path(dataset.path))
    target = find_tuner(tuner)
    problems = _integrity(opened)
    if opened.manifest.format not in target.formats:
        raise TuningError(
            f"the tuner {tuner} does not take the format {opened.manifest.format} of dataset {opened.id}",
            f"It takes {', '.join(target.formats)}: `invoke dataset --format …`",
        )
    rows = {split: _count(opened.file(split)) for split in _SPLITS}
    if rows["eval"] < MINIMUM_EVALUATION:
        raise TuningError(
            f"the evaluation set of dataset {opened.id} has {rows['eval']} rows, "
            f"at least {MINIMUM_EVALUATION} are needed",
            "Raise --eval-fraction or --limit",
        )
    limit = target.evaluation_limit(opened.manifest.format, rows["train"])
    folder = output_folder(checked)
    sampled = sample_evaluation(opened, limit, folder / SAMPLED) if 0 < limit < rows["eval"] else 0
    judged = Dataset(opened.folder, opened.manifest, folder / SAMPLED if sampled else None)
    problems += target.check(judged)
    for problem in problems:
        print(f"{'error' if problem.fatal else 'note'}: {problem.what} {problem.mend}")
    if fatal := [problem for problem in problems if problem.fatal]:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        raise TuningError(f"{fatal[0].what.rstrip('.')}{more}", fatal[0].mend)
    write_json(
        folder / CHECKED,
        msgspec.to_builtins(
            Checked(problems=problems, train_rows=rows["train"], eval_rows=rows["eval"], sampled_rows=sampled)
        ),
    )
    checked.metadata["dataset_sha256"] = dataset.metadata["sha256"]


def tune(
    dataset: Artifact, checked: Artifact, request: Artifact, code: str, model: Artifact, metrics: Artifact
) -> None:
    """Tune. Until it is finished the work lies in a folder of the same data, options and code, where the next run goes
    on."""
    asked = read_request(request.path, TuningRequest)
    settings = load_settings(asked.settings)
    opened = checked_dataset(dataset, checked)
    work = settings.home / "work" / key_of(dataset.metadata["sha256"], request.metadata["sha256"], code)
    work.mkdir(parents=True, exist_ok=True)
    tuned = find_tuner(asked.tuner).tune(settings, opened, asked.options, work)
    folder = output_folder(model)
    write_training_ids(folder / TRAINED_ON, opened.attributions("train"))
    write_model(folder, tuned, work)
    shutil.move(work, folder / WEIGHTS)
    model.metadata |= {
        "dataset_sha256": dataset.metadata["sha256"],
        "base_model": asked.options.base_model,
        "contents_sha256": contents_sha256(Path(model.path)),
    }
    numbers = {name: float(value) for name, value in tuned.facts.items() if isinstance(value, int | float)}
    log_metrics(metrics, numbers)


def _integrity(dataset: Dataset) -> list[Problem]:
    """Whether the files are the ones that the manifest describes. Lines that lack their attribution are fatal."""
    problems = [
        Problem(
            f"{name} was changed after the dataset was made", "Its numbers no longer speak of the source", fatal=False
        )
        for name, facts in sorted(dataset.manifest.files.items())
        if sha256_of(dataset.folder / name) != facts.sha256
    ]
    for split in _SPLITS:
        lines, attributed = _count(dataset.folder / f"{split}.jsonl"), sum(1 for _ in dataset.attributions(split))
        if lines != attributed:
            problems.append(
                Problem(
                    f"{split}.jsonl has {lines} lines and attribution.jsonl tells of {attributed}",
                    "Remove the dataset's folder and run `invoke dataset` again",
                )
            )
    return problems


def sample_evaluation(dataset: Dataset, limit: int, target: Path) -> int:
    """Write the lines of the stable sample of `limit` evaluation examples, in order."""
    wanted = {row.line for row in stable_sample(dataset.attributions("eval"), limit)}
    with dataset.file("eval").open("rb") as source, target.open("wb") as sampled:
        for number, line in enumerate(source):
            if number in wanted:
                sampled.write(line)
    return len(wanted)


def _count(source: Source) -> int:
    with source.open("rb") as file:
        return sum(1 for _ in file)

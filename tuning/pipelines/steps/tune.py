"""Run the pipeline steps that validate a dataset and tune a model. The KFP components call these functions."""

import shutil
from pathlib import Path

import msgspec

from tuning.dataset.dataset import Dataset, Split, open_dataset
from tuning.errors import TuningError
from tuning.evaluation.sample import stable_sample
from tuning.gcs.object_file import Source
from tuning.pipelines.steps.custom_job import tune_in_job
from tuning.pipelines.steps.process import Artifact, log_metrics, output_folder
from tuning.pipelines.steps.requests import TuningRequest, key_of, read_request
from tuning.pipelines.steps.validation import CHECKED, SAMPLED, Checked, check_evaluation, checked_dataset
from tuning.records import write_record
from tuning.registry.continuing import with_adapter
from tuning.registry.model_folder import TRAINED_ON, WEIGHTS, contents_sha256, write_model, write_training_ids
from tuning.settings import Settings, load_settings
from tuning.storage import sha256_of
from tuning.tuners.protocol import Problem, TuneOptions
from tuning.tuners.select import find_tuner

_SPLITS: tuple[Split, Split] = ("train", "eval")


def validate(dataset: Artifact, tuner: str, checked: Artifact) -> None:
    """Check a dataset against its manifest and the tuner's limits.

    If the evaluation set is larger than the tuner accepts, write a sample of it. Raises TuningError if the dataset
    cannot be used.
    """
    opened = open_dataset(Path(dataset.path))
    target = find_tuner(tuner)
    problems = _integrity(opened)
    if opened.manifest.format not in target.formats:
        raise TuningError(
            f"the tuner {tuner} does not accept the format {opened.manifest.format} of dataset {opened.id}",
            f"Run `invoke dataset --format FORMAT` with one of these formats: {', '.join(target.formats)}",
        )
    rows = {split: _count(opened.file(split)) for split in _SPLITS}
    check_evaluation(opened, rows["eval"])
    limit = target.evaluation_limit(opened.manifest.format, rows["train"])
    folder = output_folder(checked)
    sampled = sample_evaluation(opened, limit, folder / SAMPLED) if 0 < limit < rows["eval"] else 0
    candidate = Dataset(opened.folder, opened.manifest, folder / SAMPLED if sampled else None)
    problems += target.check(candidate)
    for problem in problems:
        print(f"{'error' if problem.fatal else 'note'}: {problem.what.rstrip('.')}. {problem.hint}")
    if fatal := [problem for problem in problems if problem.fatal]:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        raise TuningError(f"{fatal[0].what.rstrip('.')}{more}", fatal[0].hint)
    write_record(
        folder / CHECKED,
        Checked(problems=problems, train_rows=rows["train"], eval_rows=rows["eval"], sampled_rows=sampled),
    )
    checked.metadata["dataset_sha256"] = dataset.metadata["sha256"]


def tune(
    dataset: Artifact,
    checked: Artifact,
    request: Artifact,
    code: str,
    custom_job: str,
    model: Artifact,
    metrics: Artifact,
) -> None:
    """Tune a model and write it with its metrics: here, or in the CustomJob that `custom_job` describes.

    Raises TuningError if tuning fails.
    """
    if custom_job:
        tune_in_job(dataset, checked, request, code, custom_job, model, metrics)
    else:
        tune_here(dataset, checked, request, code, model, metrics)


def tune_here(
    dataset: Artifact,
    checked: Artifact,
    request: Artifact,
    code: str,
    model: Artifact,
    metrics: Artifact,
    checkpoints: str = "",
) -> None:
    """Tune a model on this machine and write it with its metrics.

    Unfinished work is in a folder that is named by a hash of the data, options and code. The next run with the same
    inputs resumes from it, also on another machine if `checkpoints` is an address in Cloud Storage. Raises TuningError
    if tuning fails.
    """
    spec = read_request(request.path, TuningRequest)
    given = _, opened, _, work = _given(spec, dataset, checked, request, code, checkpoints)
    tuned = find_tuner(spec.tuner).tune(*given)
    folder = output_folder(model)
    write_training_ids(folder / TRAINED_ON, opened.attributions("train"))
    write_model(folder, tuned, work)
    shutil.move(work, folder / WEIGHTS)
    model.metadata |= {
        "dataset_sha256": dataset.metadata["sha256"],
        "base_model": spec.options.base_model,
        "contents_sha256": contents_sha256(Path(model.path)),
    }
    numbers = {name: float(value) for name, value in tuned.facts.items() if isinstance(value, int | float)}
    log_metrics(metrics, numbers)


def take_part(dataset: Artifact, checked: Artifact, request: Artifact, code: str, checkpoints: str) -> None:
    """Compute the share of this machine in a tuning by the tuner hf whose model another machine writes.

    Raises TuningError if tuning fails.
    """
    from tuning.tuners.hf.tuner import HfTuner

    spec = read_request(request.path, TuningRequest)
    HfTuner().take_part(*_given(spec, dataset, checked, request, code, checkpoints))


def _given(
    spec: TuningRequest, dataset: Artifact, checked: Artifact, request: Artifact, code: str, checkpoints: str
) -> tuple[Settings, Dataset, TuneOptions, Path]:
    """Return what the tuner is given. Its folder is made."""
    settings = load_settings(spec.settings)
    work = settings.home / "work" / key_of(dataset.metadata["sha256"], request.metadata["sha256"], code)
    work.mkdir(parents=True, exist_ok=True)
    options = msgspec.structs.replace(with_adapter(settings, spec.options), checkpoints=checkpoints)
    return settings, checked_dataset(dataset, checked), options, work


def _integrity(dataset: Dataset) -> list[Problem]:
    """Find files that differ from the manifest. Only a wrong number of attribution records is fatal."""
    problems = [
        Problem(
            f"{name} was changed after the dataset was created",
            "The dataset's manifest and card no longer describe this file",
            fatal=False,
        )
        for name, facts in sorted(dataset.manifest.files.items())
        if sha256_of(dataset.folder / name) != facts.sha256
    ]
    for split in _SPLITS:
        lines, attributed = _count(dataset.folder / f"{split}.jsonl"), sum(1 for _ in dataset.attributions(split))
        if lines != attributed:
            problems.append(
                Problem(
                    f"{split}.jsonl has {lines} lines, but attribution.jsonl has {attributed} for this split",
                    "Delete the dataset's folder and run `invoke dataset` again",
                )
            )
    return problems


def sample_evaluation(dataset: Dataset, limit: int, target: Path) -> int:
    """Write a sample of `limit` evaluation examples to `target`, in their original order. Return how many were written.

    The same dataset and limit always give the same sample.
    """
    wanted = {row.line for row in stable_sample(dataset.attributions("eval"), limit)}
    with dataset.file("eval").open("rb") as source, target.open("wb") as sampled:
        for number, line in enumerate(source):
            if number in wanted:
                sampled.write(line)
    return len(wanted)


def _count(source: Source) -> int:
    with source.open("rb") as file:
        return sum(1 for _ in file)

"""From a template and parameters to a job on Vertex AI: what can be wrong is found before anything is sent."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from tuning.dataset.dataset import Dataset, Split, find_dataset
from tuning.errors import TuningError
from tuning.gcs.access import credentials, require_project
from tuning.gcs.objects import put
from tuning.pipelines.steps.tune import sample_evaluation
from tuning.pipelines.vertex import jobs, notebook_template
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.template import Template, fit_parameters, read_template
from tuning.settings import PROJECT_ROOT, Settings


@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """How to send. Empty: the default of the template. `again` starts a job that has already succeeded once more."""

    dataset: str | None = None
    display_name: str = ""
    pipeline_root: str = ""
    caching: bool = True
    failure_policy: jobs.FailurePolicy = "slow"
    again: bool = False

    def __post_init__(self) -> None:
        if self.failure_policy not in get_args(jobs.FailurePolicy):
            raise TuningError(f"--failure-policy is slow or fast, not {self.failure_policy!r}")


def submit_template(
    settings: Settings, uri: str, given: Mapping[str, str], options: SubmitOptions, show: Callable[[str], None]
) -> Job:
    """Send any KFP template and return at once."""
    return send(settings, template_request(settings, uri, given, options, show), options.again, show)


def template_request(
    settings: Settings, uri: str, given: Mapping[str, str], options: SubmitOptions, show: Callable[[str], None]
) -> jobs.JobRequest:
    """The job of any KFP template. The notebook's own is filled from settings and the dataset where `given` is silent,
    and its two files are uploaded first."""
    check_access(settings)
    template = read_template(settings, uri)
    if uri == notebook_template.URI:
        return _seed_request(settings, template, given, options, show)
    return _request(settings, template, given, options)


def check_access(settings: Settings) -> None:
    """TuningError where no job could be sent at all: runner, project, region, credentials. Costs no request."""
    if settings.target != "gcp" and not settings.vertex_endpoint:
        raise TuningError("a template runs on Vertex AI, and the target is local", "Add --target gcp")
    require_project(settings)
    jobs.quiet()
    from google.cloud.aiplatform.constants.base import SUPPORTED_REGIONS

    if settings.region not in SUPPORTED_REGIONS:
        raise TuningError(f"{settings.region!r} is no region of Vertex AI", "Set TUNING_REGION, such as us-central1")
    credentials(settings.vertex_endpoint, settings)


def send(settings: Settings, request: jobs.JobRequest, again: bool, show: Callable[[str], None]) -> Job:
    job, created = jobs.submit(settings, request, again)
    show(f"submitted {job.id} ({job.display_name})" if created else f"found {job.id}, {job.state}: nothing was sent")
    show(job.link)
    return job


def parse_parameters(texts: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping."""
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise TuningError(f"--param takes NAME=VALUE, not {text!r}")
        values[name] = value
    return values


def commit_label() -> dict[str, str]:
    """The git commit of this code as a label; nothing outside a git checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - git is wherever the developer has it
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {"git_commit": found.stdout.strip()} if found.returncode == 0 else {}


def _request(
    settings: Settings, template: Template, given: Mapping[str, str], options: SubmitOptions
) -> jobs.JobRequest:
    parameters = fit_parameters(template, given)
    return jobs.JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or template.name,
        pipeline_root=_gs(options.pipeline_root or f"gs://{settings.bucket}/pipelines/{jobs.label(template.name)}"),
        identity=parameters,
        labels={"template": jobs.label(template.name), **commit_label()},
        caching=options.caching,
        failure_policy=options.failure_policy,
    )


def _seed_request(
    settings: Settings,
    template: Template,
    given: Mapping[str, str],
    options: SubmitOptions,
    show: Callable[[str], None],
) -> jobs.JobRequest:
    dataset = find_dataset(settings, options.dataset)
    date = notebook_template.date(datetime.now().astimezone())
    parameters = fit_parameters(template, {**notebook_template.parameters(settings, dataset, date), **given})
    own = [split for split, name in notebook_template.ADDRESSES.items() if name not in given]
    notebook_template.check(dataset, own)
    if "eval" in own:
        dataset = _sampled(settings, dataset, show)
    else:
        notebook_template.check_given(settings, given[notebook_template.ADDRESSES["eval"]])
    undated: dict[str, Any] = {**notebook_template.parameters(settings, dataset, ""), **given}
    root = options.pipeline_root or notebook_template.PIPELINE_ROOT
    show(notebook_template.warning(settings, dataset))
    show(f"the notebook's ./ is {notebook_template.folder(settings, dataset)} in the cloud")
    request = jobs.JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or notebook_template.DISPLAY_NAME.format(date=date),
        pipeline_root=_gs(notebook_template.in_folder(settings, dataset, root) if root.startswith("./") else root),
        identity={**undated, "files": {name: facts.sha256 for name, facts in dataset.manifest.files.items()}},
        labels={"template": jobs.label(template.name), "dataset_id": jobs.label(dataset.id), **commit_label()},
        caching=options.caching,
        failure_policy=options.failure_policy,
    )
    _upload(settings, dataset, own, show)
    return request


def _sampled(settings: Settings, dataset: Dataset, show: Callable[[str], None]) -> Dataset:
    """The dataset with a smaller evaluation set where the template takes fewer rows than it has."""
    rows, most = dataset.manifest.files["eval.jsonl"].rows, notebook_template.EVALUATION_ROWS[1]
    if rows <= most:
        return dataset
    path = settings.home / "uploads" / dataset.id / "eval.sampled.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    sample_evaluation(dataset, most, path)
    show(f"eval.jsonl has {rows:,} rows, the template takes {most}: a stable sample of {most} is sent")
    return replace(dataset, sampled_eval=path)


def _upload(settings: Settings, dataset: Dataset, splits: Sequence[Split], show: Callable[[str], None]) -> None:
    for split in splits:
        address = notebook_template.in_folder(settings, dataset, notebook_template.FILES[split])
        stored = put(settings, dataset.file(split), address)
        show(f"{'uploaded' if stored.sent else 'already there'}: {stored.uri} ({stored.size:,} bytes)")


def _gs(root: str) -> str:
    """Vertex AI writes what a pipeline makes to a bucket and refuses any other root."""
    if not root.startswith("gs://"):
        raise TuningError(
            f"the pipeline root {root!r} is not in Cloud Storage", "Give --pipeline-root gs://BUCKET/NAME"
        )
    return root

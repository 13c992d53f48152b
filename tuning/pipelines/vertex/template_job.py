"""Submit a template with parameters as a job on Vertex AI. All checks run before anything is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tuning.dataset.dataset import Dataset, Split, find_dataset
from tuning.errors import TuningError
from tuning.gcs.access import credentials, label
from tuning.gcs.storage import find_storage
from tuning.machine import git_commit
from tuning.pipelines.steps.tune import sample_evaluation
from tuning.pipelines.vertex import jobs, notebook_template
from tuning.pipelines.vertex.job import Job
from tuning.pipelines.vertex.template import Template, fit_parameters, read_template
from tuning.settings import Settings
from tuning.storage import is_in_bucket
from tuning.target import find_target


@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """Hold the options of a submission. An empty string selects the default.

    With `again`, a job is submitted again even if it has already succeeded, and takes nothing from the cache.
    """

    dataset: str | None = None
    display_name: str = ""
    pipeline_root: str = ""
    caching: bool = True
    failure_policy: jobs.FailurePolicy = "slow"
    again: bool = False


def submit_template(
    settings: Settings, uri: str, given: Mapping[str, str], options: SubmitOptions, show: Callable[[str], None]
) -> Job:
    """Submit any KFP template as a job, without waiting for it.

    Raises TuningError if a check fails or the service refuses the job.
    """
    return send(settings, template_request(settings, uri, given, options, show), options.again, show)


def template_request(
    settings: Settings, uri: str, given: Mapping[str, str], options: SubmitOptions, show: Callable[[str], None]
) -> jobs.JobRequest:
    """Return the job request for any KFP template.

    For the course notebook's template, the settings and the dataset supply the parameters that `given` omits, and the
    two dataset files are uploaded. Raises TuningError if a check fails.
    """
    check_access(settings)
    template = read_template(settings, uri)
    if uri == notebook_template.URI:
        return _seed_request(settings, template, given, options, show)
    return _request(settings, template, given, options)


def check_access(settings: Settings) -> None:
    """Check the target, project, region and credentials, without sending a request.

    Raises TuningError if no job could be submitted with them.
    """
    find_target(settings).require_vertex()
    from google.cloud.aiplatform.constants.base import SUPPORTED_REGIONS

    if settings.region not in SUPPORTED_REGIONS:
        raise TuningError(f"{settings.region!r} is not a region of Vertex AI", "Set TUNING_REGION, such as us-central1")
    credentials(settings.vertex_endpoint, settings)


def send(settings: Settings, request: jobs.JobRequest, again: bool, show: Callable[[str], None]) -> Job:
    """Submit the job, show its ID and link, and return it. Raises TuningError if the service refuses the job."""
    job, created = jobs.submit(settings, request, again)
    if created:
        show(f"submitted {job.id} ({job.display_name})")
    else:
        show(f"{job.id} already exists ({job.state}): nothing was sent")
    show(job.link)
    return job


def parse_parameters(texts: list[str]) -> dict[str, str]:
    """Parse ``NAME=VALUE`` texts into a mapping. Raises TuningError if a text has another form."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise TuningError(f"--param must be NAME=VALUE, not {text!r}")
        values[name] = value
    return values


def commit_label() -> dict[str, str]:
    """Return the git commit of this code as a label, or no label outside a git checkout."""
    commit = git_commit()
    return {"git_commit": commit} if commit else {}


def _request(
    settings: Settings, template: Template, given: Mapping[str, str], options: SubmitOptions
) -> jobs.JobRequest:
    parameters = fit_parameters(template, given)
    return jobs.JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or template.name,
        pipeline_root=_gs(options.pipeline_root or f"gs://{settings.bucket}/templates/{label(template.name)}"),
        identity=parameters,
        labels={"template": label(template.name), **commit_label()},
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
    show(f"the notebook's ./ is {notebook_template.folder(settings, dataset)} in Cloud Storage")
    request = jobs.JobRequest(
        template=template,
        parameters=parameters,
        display_name=options.display_name or notebook_template.DISPLAY_NAME.format(date=date),
        pipeline_root=_gs(notebook_template.in_folder(settings, dataset, root) if root.startswith("./") else root),
        identity={**undated, "files": {name: facts.sha256 for name, facts in dataset.manifest.files.items()}},
        labels={"template": label(template.name), "dataset_id": label(dataset.id), **commit_label()},
        caching=options.caching,
        failure_policy=options.failure_policy,
    )
    _upload(settings, dataset, own, show)
    return request


def _sampled(settings: Settings, dataset: Dataset, show: Callable[[str], None]) -> Dataset:
    """Return the dataset. If the template does not accept so many evaluation rows, use a sample of them."""
    rows, most = dataset.manifest.files["eval.jsonl"].rows, notebook_template.EVALUATION_ROWS[1]
    if rows <= most:
        return dataset
    path = settings.home / "uploads" / dataset.id / "eval.sampled.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    sample_evaluation(dataset, most, path)
    show(f"eval.jsonl has {rows:,} rows, but the template accepts at most {most}: sending a sample of {most}")
    return replace(dataset, sampled_eval=path)


def _upload(settings: Settings, dataset: Dataset, splits: Sequence[Split], show: Callable[[str], None]) -> None:
    for split in splits:
        address = notebook_template.in_folder(settings, dataset, notebook_template.FILES[split])
        stored = find_storage(settings).put(dataset.file(split), address)
        show(f"{'uploaded' if stored.sent else 'already there'}: {stored.uri} ({stored.size:,} bytes)")


def _gs(root: str) -> str:
    """Return `root`. Raises TuningError unless it is in Cloud Storage, because Vertex AI accepts no other root."""
    if not is_in_bucket(root):
        raise TuningError(f"the pipeline root {root!r} is not in Cloud Storage", "Set --pipeline-root gs://BUCKET/NAME")
    return root

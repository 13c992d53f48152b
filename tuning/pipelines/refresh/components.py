"""Define the KFP components that a refresh adds to those of the tuning: thin calls into `steps.py`.

`run` is the ID of the run if a command follows it, and `job` the name that the runner gives the job.
"""
# mypy: disable-error-code="untyped-decorator"

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Model, Output

from tuning.pipelines.components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def build_mart(request: Input[Artifact], tuner: str, code: str, run: str, job: str, source: Output[Artifact]) -> bool:
    """Build the mart. Return False if nothing has changed since an earlier refresh."""
    from tuning.pipelines.refresh import steps
    from tuning.pipelines.steps import process

    return bool(process.run(steps.build_mart, tuner, code, request, run or job, outputs=[source]))


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def export_snapshot(request: Input[Artifact], tuner: str, code: str, snapshot: Output[Dataset]) -> None:
    """Export the mart as Parquet."""
    from tuning.pipelines.refresh import steps
    from tuning.pipelines.steps import process

    process.run(steps.export_snapshot, tuner, code, request, outputs=[snapshot])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def prepare_dataset(
    request: Input[Artifact],
    snapshot: Input[Dataset],
    tuning: Input[Artifact],
    tuner: str,
    code: str,
    tuner_code: str,
) -> NamedTuple(  # type: ignore[valid-type]
    "Prepared",
    [("dataset_uri", str), ("dataset_sha256", str), ("champion_uri", str), ("champion_sha256", str)],
):
    """Make the dataset, and find the champion that its model must beat."""
    from tuning.pipelines.refresh import steps
    from tuning.pipelines.steps import process

    return process.run(steps.prepare_dataset, tuner, code, request, snapshot, tuning, tuner_code, outputs=[])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def release(
    request: Input[Artifact],
    source: Input[Artifact],
    dataset: Input[Dataset],
    tuning: Input[Artifact],
    model: Input[Model],
    comparison: Input[Artifact],
    verdict: Input[Artifact],
    page: Input[HTML],
    summary: Input[Markdown],
    tuner: str,
    code: str,
    tuner_code: str,
    run: str,
    job: str,
) -> None:
    """Register the model, and promote it if the verdict allows that."""
    from tuning.pipelines.refresh import steps
    from tuning.pipelines.steps import process

    made = {"model": model, "comparison": comparison, "verdict": verdict, "page": page, "summary": summary}
    sources = steps.ReleaseSources(source=source, dataset=dataset, tuning=tuning, outputs=made)
    process.run(steps.release, tuner, code, request, sources, tuner_code, run, job, outputs=[])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def notify(request_uri: str, tuner: str, code: str, run: str, job: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Send the end of the run to the webhook, if one is set."""
    from tuning.pipelines.refresh import steps
    from tuning.pipelines.steps import process

    ended = (status.state, status.error_message or "")
    process.run(steps.notify, tuner, code, request_uri, run or job, *ended, outputs=[])

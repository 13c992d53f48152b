"""Define the pipeline `refresh_python_qa` and compile it to YAML. kfp.local and Vertex AI run the same file."""

# mypy: disable-error-code="untyped-decorator"

from pathlib import Path
from typing import Any

from tuning.cloud.machines import Machine
from tuning.pipelines.compiled import check_pinned, compile_to
from tuning.pipelines.tuning import REFRESH, Codes, Machines, Requests, add_step, add_steps, import_file
from tuning.settings import Settings


def compile_refresh(settings: Settings, path: Path) -> Path:
    """Write the pipeline as YAML.

    Its container image is the setting `image`, or the components' IMAGE if the setting is empty. Raises TuningError if
    the setting names no digest.
    """
    check_pinned(settings.image)
    return compile_to(_pipeline(settings.image), path)


def _pipeline(image: str) -> Any:
    from kfp import dsl

    from tuning.pipelines.refresh import components

    def step(component: Any, **arguments: Any) -> Any:
        """Add a step whose output is never taken from a cache: it reads or changes more than its arguments."""
        return add_step(image, component, **arguments).set_caching_options(enable_caching=False)

    @dsl.pipeline(
        name=REFRESH,
        description="Build the mart, make a dataset, tune a model, evaluate it, and release what is better.",
    )
    def refresh_python_qa(
        tuner: str,
        refresh_uri: str,
        refresh_sha256: str,
        tuning_uri: str,
        tuning_sha256: str,
        evaluation_uri: str,
        evaluation_sha256: str,
        gate_uri: str,
        gate_sha256: str,
        period: str,
        cpu: str,
        memory: str,
        accelerator: str,
        accelerator_count: str,
        tune_cpu: str,
        tune_memory: str,
        tune_accelerator: str,
        tune_accelerator_count: str,
        custom_job: str,
        refresh_code: str,
        tuner_code: str,
        evaluation_code: str,
        judging_code: str,
        run: str = "",
    ) -> None:
        """Run the steps of the pipeline.

        They are: build the mart, export it, prepare the dataset, the six steps of `tune_python_qa`, and release. If
        nothing has changed since an earlier refresh, only the first one runs. When the run has ended or failed, the
        exit step notifies.

        The dataset is imported by the address and hash that its step returns, so that the cache of the later steps
        depends on its content.
        """
        common = {"tuner": tuner, "code": refresh_code}
        this_run = {"run": run, "job": dsl.PIPELINE_JOB_NAME_PLACEHOLDER}
        ending = step(components.notify, request_uri=refresh_uri, **common, **this_run)
        with dsl.ExitHandler(ending, name="refresh"):
            request = import_file("refresh request", refresh_uri, refresh_sha256)
            built = step(components.build_mart, request=request, **common, **this_run)
            with dsl.If(built.outputs["Output"] == True, name="something has changed"):  # noqa: E712 - a KFP expression
                snapshot = step(components.export_snapshot, request=request, **common).output
                tuning = import_file("tuning request", tuning_uri, tuning_sha256)
                prepared = step(
                    components.prepare_dataset,
                    request=request,
                    snapshot=snapshot,
                    tuning=tuning,
                    tuner_code=tuner_code,
                    **common,
                ).outputs
                dataset = import_file("dataset", prepared["dataset_uri"], prepared["dataset_sha256"], is_dataset=True)
                requests = Requests(
                    tuning=tuning,
                    evaluation=import_file("evaluation request", evaluation_uri, evaluation_sha256),
                    gate=import_file("gate request", gate_uri, gate_sha256),
                    champion=import_file("champion", prepared["champion_uri"], prepared["champion_sha256"]),
                )
                codes = Codes(tuner=tuner_code, evaluation=evaluation_code, judging=judging_code)
                machines = Machines(
                    answering=Machine(cpu, memory, accelerator, accelerator_count),
                    tuning=Machine(tune_cpu, tune_memory, tune_accelerator, tune_accelerator_count),
                    custom_job=custom_job,
                )
                made = add_steps(image, dataset, requests, codes, machines, tuner=tuner, period=period)
                step(
                    components.release,
                    request=request,
                    source=built.outputs["source"],
                    dataset=dataset,
                    tuning=tuning,
                    model=made.model,
                    comparison=made.comparison,
                    verdict=made.verdict,
                    page=made.page,
                    summary=made.summary,
                    tuner_code=tuner_code,
                    **common,
                    **this_run,
                )

    return refresh_python_qa

"""Define the pipeline `tune_python_qa` and compile it to YAML. kfp.local and Vertex AI Pipelines run the same file."""

# mypy: disable-error-code="untyped-decorator"

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tuning.cloud.machines import Machine
from tuning.pipelines.compiled import check_pinned, compile_to
from tuning.settings import Settings

NAME = "tune-python-qa"
REFRESH = "refresh-python-qa"  # defined in `refresh/pipeline.py`, from the same steps
PIPELINES = (NAME, REFRESH)
CHAMPION_STEP = "evaluate-champion"  # it has nothing to do if there is no champion that the model must beat
STEPS = {
    "validate": "1 validate",
    "tune": "2 tune",
    "evaluate-base": "3 evaluate base",
    "evaluate-tuned": "3 evaluate tuned",
    CHAMPION_STEP: "3 evaluate champion",
    "compare": "4 compare",
    "gate": "5 gate",
    "report": "6 report",
}


def compile_pipeline(settings: Settings, path: Path) -> Path:
    """Write the pipeline as YAML.

    Its container image is the setting `image`, or the components' IMAGE if the setting is empty. Raises TuningError if
    the setting names no digest.
    """
    check_pinned(settings.image)
    return compile_to(_pipeline(settings.image), path)


def _pipeline(image: str) -> Any:
    from kfp import dsl
    from kfp.dsl import HTML, Artifact, Markdown, Model

    class Outputs(NamedTuple):
        model: Model
        comparison: Artifact
        verdict: Artifact
        page: HTML
        summary: Markdown

    @dsl.pipeline(
        name=NAME, description="Tune a model on Python questions and answers, evaluate it, and decide on its release."
    )
    def tune_python_qa(
        tuner: str,
        dataset_uri: str,
        dataset_sha256: str,
        tuning_uri: str,
        tuning_sha256: str,
        evaluation_uri: str,
        evaluation_sha256: str,
        gate_uri: str,
        gate_sha256: str,
        champion_uri: str,
        champion_sha256: str,
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
        tuner_code: str,
        evaluation_code: str,
        judging_code: str,
    ) -> Outputs:
        """Run the steps of the pipeline.

        They are: 1 validate, 2 tune, 3 evaluate the base, tuned and champion models, 4 compare, 5 gate, 6 report.

        The three models are evaluated on the same examples. The runner registers and promotes the model after the
        pipeline, because a step that is taken from the cache has no side effects.

        Each ``*_uri`` names a file or folder, and ``*_sha256`` is the hash of its content. The hash is part of the
        artifact's metadata and therefore of the cache keys. ``*_code`` are hashes of the code that the steps run. A
        step takes no output from the cache that was made with another `period`, which can be any text. `cpu`, `memory`,
        `accelerator` and `accelerator_count` are the machine on which models are evaluated, and with `tune_` the one on
        which they are tuned. If `custom_job` is not empty, the tuning runs as that CustomJob, and its step only waits.
        """
        imported = import_file("dataset", dataset_uri, dataset_sha256, is_dataset=True)
        requests = Requests(
            tuning=import_file("tuning request", tuning_uri, tuning_sha256),
            evaluation=import_file("evaluation request", evaluation_uri, evaluation_sha256),
            gate=import_file("gate request", gate_uri, gate_sha256),
            champion=import_file("champion", champion_uri, champion_sha256),
        )
        codes = Codes(tuner=tuner_code, evaluation=evaluation_code, judging=judging_code)
        machines = Machines(
            answering=Machine(cpu, memory, accelerator, accelerator_count),
            tuning=Machine(tune_cpu, tune_memory, tune_accelerator, tune_accelerator_count),
            custom_job=custom_job,
        )
        made = add_steps(image, imported, requests, codes, machines, tuner=tuner, period=period)
        return Outputs(
            model=made.model, comparison=made.comparison, verdict=made.verdict, page=made.page, summary=made.summary
        )

    return tune_python_qa


# The values in these classes are KFP's channels: parameters of a pipeline, and outputs of tasks.
@dataclass(frozen=True, kw_only=True)
class Requests:
    """Hold the imported requests of the steps."""

    tuning: Any
    evaluation: Any
    gate: Any
    champion: Any


@dataclass(frozen=True, kw_only=True)
class Codes:
    """Hold the hashes of the code that the steps run."""

    tuner: Any
    evaluation: Any
    judging: Any


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Hold the machines of the steps in which models answer and are tuned, and the CustomJob that tunes, or ''."""

    answering: Machine
    tuning: Machine
    custom_job: Any


@dataclass(frozen=True, kw_only=True)
class Made:
    """Hold what the steps make for a release."""

    model: Any
    comparison: Any
    verdict: Any
    page: Any
    summary: Any


def import_file(name: str, uri: Any, sha256: Any, *, is_dataset: bool = False) -> Any:
    """Add a task that imports the file or folder at `uri`, whose content has this hash. Return its artifact."""
    from kfp import dsl

    kind = dsl.Dataset if is_dataset else dsl.Artifact
    imported = dsl.importer(artifact_uri=uri, artifact_class=kind, reimport=False, metadata={"sha256": sha256})
    return imported.set_display_name(name).output


def add_step(image: str, component: Any, **arguments: Any) -> Any:
    """Add a step that runs in `image`, or in the components' IMAGE if it is empty. Return the task."""
    task = component(**arguments)
    if task.name in STEPS:
        task.set_display_name(STEPS[task.name])
    return task.set_container_image(image) if image else task


def add_steps(
    image: str, dataset: Any, requests: Requests, codes: Codes, machines: Machines, *, tuner: Any, period: Any
) -> Made:
    """Add the STEPS, from a dataset to the report, to the pipeline that is being defined."""
    from tuning.pipelines import components

    def step(component: Any, code: Any, **arguments: Any) -> Any:
        return add_step(image, component, code=code, tuner=tuner, period=period, **arguments)

    checked = step(components.validate, codes.tuner, dataset=dataset).output

    def on_machine(task: Any, machine: Machine) -> Any:
        task.register_pipeline_channels(list(machine))  # else kfp does not pass them into a condition or exit handler
        task.set_cpu_limit(machine.cpu).set_memory_limit(machine.memory)
        return task.set_accelerator_type(machine.accelerator).set_accelerator_limit(machine.accelerator_count)

    tuning_task = on_machine(
        step(
            components.tune,
            codes.tuner,
            dataset=dataset,
            checked=checked,
            request=requests.tuning,
            custom_job=machines.custom_job,
        ),
        machines.tuning,
    )
    tuned = tuning_task.outputs["model"]

    def evaluated(component: Any, **model: Any) -> Any:
        """Evaluate a model after the tuning, even the base model, so that a failed tuning costs no evaluation."""
        inputs = {"dataset": dataset, "checked": checked, "request": requests.evaluation}
        task = on_machine(step(component, codes.evaluation, **inputs, **model), machines.answering)
        return task.after(tuning_task).outputs["evaluation"]

    of_base = evaluated(components.evaluate_base)
    of_tuned = evaluated(components.evaluate_tuned, model=tuned)
    of_champion = evaluated(components.evaluate_champion, champion=requests.champion)
    comparison = step(
        components.compare,
        codes.judging,
        base=of_base,
        tuned=of_tuned,
        champion=of_champion,
        request=requests.gate,
    ).outputs["comparison"]
    verdict = step(
        components.gate, codes.judging, comparison=comparison, request=requests.gate, champion=requests.champion
    ).outputs["verdict"]
    reported = step(
        components.report,
        codes.judging,
        dataset=dataset,
        checked=checked,
        model=tuned,
        base=of_base,
        tuned=of_tuned,
        comparison=comparison,
        verdict=verdict,
        request=requests.tuning,
    )
    return Made(
        model=tuned,
        comparison=comparison,
        verdict=verdict,
        page=reported.outputs["page"],
        summary=reported.outputs["summary"],
    )

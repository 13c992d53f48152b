"""Define the pipeline `tune_python_qa` and compile it to YAML. kfp.local and Vertex AI Pipelines run the same file."""

# mypy: disable-error-code="untyped-decorator"

from pathlib import Path
from typing import Any, NamedTuple

from tuning.pipelines.compiled import check_pinned, compile_to
from tuning.settings import Settings

NAME = "tune-python-qa"
STEPS = {
    "validate": "1 validate",
    "tune": "2 tune",
    "evaluate-base": "3 evaluate base",
    "evaluate-tuned": "3 evaluate tuned",
    "evaluate-champion": "3 evaluate champion",
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
    from kfp.dsl import HTML, Artifact, Dataset, Markdown, Model

    from tuning.pipelines import components

    class Outputs(NamedTuple):
        model: Model
        comparison: Artifact
        verdict: Artifact
        page: HTML
        summary: Markdown

    def request(name: str, uri: str, sha256: str) -> Any:
        imported = dsl.importer(artifact_uri=uri, artifact_class=Artifact, reimport=False, metadata={"sha256": sha256})
        return imported.set_display_name(name).output

    def step(component: Any, **arguments: Any) -> Any:
        task = component(**arguments)
        task.set_display_name(STEPS[task.name])
        return task.set_container_image(image) if image else task

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
        step takes no output from the cache that was made with another `period`, which can be any text.
        """
        imported = dsl.importer(
            artifact_uri=dataset_uri, artifact_class=Dataset, reimport=False, metadata={"sha256": dataset_sha256}
        ).set_display_name("dataset")
        dataset = imported.output
        tuning = request("tuning request", tuning_uri, tuning_sha256)
        evaluation = request("evaluation request", evaluation_uri, evaluation_sha256)
        judging = request("gate request", gate_uri, gate_sha256)
        champion = request("champion", champion_uri, champion_sha256)

        common = {"tuner": tuner, "period": period}
        checked = step(components.validate, dataset=dataset, code=tuner_code, **common).output
        tuning_task = step(components.tune, dataset=dataset, checked=checked, request=tuning, code=tuner_code, **common)
        tuned = tuning_task.outputs["model"]

        def evaluated(component: Any, **model: Any) -> Any:
            """Evaluate a model after the tuning, even the base model, so that a failed tuning costs no evaluation."""
            inputs = {"dataset": dataset, "checked": checked, "request": evaluation, "code": evaluation_code}
            return step(component, **inputs, **common, **model).after(tuning_task).outputs["evaluation"]

        of_base = evaluated(components.evaluate_base)
        of_tuned = evaluated(components.evaluate_tuned, model=tuned)
        of_champion = evaluated(components.evaluate_champion, champion=champion)
        comparison = step(
            components.compare,
            base=of_base,
            tuned=of_tuned,
            champion=of_champion,
            request=judging,
            code=judging_code,
            **common,
        ).outputs["comparison"]
        verdict = step(
            components.gate,
            comparison=comparison,
            request=judging,
            champion=champion,
            code=judging_code,
            **common,
        ).outputs["verdict"]
        reported = step(
            components.report,
            dataset=dataset,
            checked=checked,
            model=tuned,
            base=of_base,
            tuned=of_tuned,
            comparison=comparison,
            verdict=verdict,
            request=tuning,
            code=judging_code,
            **common,
        )
        return Outputs(
            model=tuned,
            comparison=comparison,
            verdict=verdict,
            page=reported.outputs["page"],
            summary=reported.outputs["summary"],
        )

    return tune_python_qa

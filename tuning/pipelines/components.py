"""Define the KFP components: thin calls into the package, all in one container image.

Importing this module imports kfp, which takes half a second, so import it inside functions. KFP's cache only compares a
step's arguments. So the argument `code` makes a step run again if the code of the package or of its `tuner` changed,
and the step stops if its own code is another. No step reads `period`, which limits the age of the outputs in the cache.
"""
# mypy: disable-error-code="untyped-decorator"
# ruff: noqa: ARG001

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

from tuning.machine import package_version

IMAGE = f"python-qa-tuning:{package_version()}"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def validate(dataset: Input[Dataset], tuner: str, code: str, period: str, checked: Output[Dataset]) -> None:
    """Check the dataset against the tuner's limits."""
    from tuning.pipelines.steps import process
    from tuning.pipelines.steps import tune as tune_step

    process.run(tune_step.validate, tuner, code, dataset, tuner, outputs=[checked])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def tune(
    dataset: Input[Dataset],
    checked: Input[Dataset],
    request: Input[Artifact],
    tuner: str,
    code: str,
    custom_job: str,
    period: str,
    model: Output[Model],
    metrics: Output[Metrics],
) -> None:
    """Tune the base model."""
    from tuning.pipelines.steps import process
    from tuning.pipelines.steps import tune as tune_step

    process.run(tune_step.tune, tuner, code, dataset, checked, request, code, custom_job, outputs=[model, metrics])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_base(
    dataset: Input[Dataset],
    checked: Input[Dataset],
    request: Input[Artifact],
    tuner: str,
    code: str,
    period: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Evaluate the base model, without tuning."""
    from tuning.pipelines.steps import evaluate as evaluate_step
    from tuning.pipelines.steps import process

    process.run(evaluate_step.evaluate_base, tuner, code, dataset, checked, request, outputs=[evaluation, metrics])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_tuned(
    dataset: Input[Dataset],
    checked: Input[Dataset],
    request: Input[Artifact],
    model: Input[Model],
    tuner: str,
    code: str,
    period: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Evaluate the tuned model on the same examples."""
    from tuning.pipelines.steps import evaluate as evaluate_step
    from tuning.pipelines.steps import process

    process.run(
        evaluate_step.evaluate_tuned, tuner, code, dataset, checked, request, model, outputs=[evaluation, metrics]
    )


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate_champion(
    dataset: Input[Dataset],
    checked: Input[Dataset],
    request: Input[Artifact],
    champion: Input[Artifact],
    tuner: str,
    code: str,
    period: str,
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Evaluate the released model, if there is one, on the same examples."""
    from tuning.pipelines.steps import evaluate as evaluate_step
    from tuning.pipelines.steps import process

    process.run(
        evaluate_step.evaluate_champion, tuner, code, dataset, checked, request, champion, outputs=[evaluation, metrics]
    )


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def compare(
    base: Input[Artifact],
    tuned: Input[Artifact],
    champion: Input[Artifact],
    request: Input[Artifact],
    tuner: str,
    code: str,
    period: str,
    comparison: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Compare the evaluations of the models."""
    from tuning.pipelines.steps import gate as gate_step
    from tuning.pipelines.steps import process

    process.run(gate_step.compare, tuner, code, base, tuned, champion, request, outputs=[comparison, metrics])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate(
    comparison: Input[Artifact],
    request: Input[Artifact],
    champion: Input[Artifact],
    tuner: str,
    code: str,
    period: str,
    verdict: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Decide whether the tuned model may be released."""
    from tuning.pipelines.steps import gate as gate_step
    from tuning.pipelines.steps import process

    process.run(gate_step.gate, tuner, code, comparison, request, champion, outputs=[verdict, metrics])


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report(
    dataset: Input[Dataset],
    checked: Input[Dataset],
    model: Input[Model],
    base: Input[Artifact],
    tuned: Input[Artifact],
    comparison: Input[Artifact],
    verdict: Input[Artifact],
    request: Input[Artifact],
    tuner: str,
    code: str,
    period: str,
    page: Output[HTML],
    summary: Output[Markdown],
) -> None:
    """Write the report as an HTML page and as Markdown."""
    from tuning.pipelines.steps import gate as gate_step
    from tuning.pipelines.steps import process

    sources = gate_step.ReportSources(
        dataset=dataset,
        checked=checked,
        model=model,
        base=base,
        tuned=tuned,
        comparison=comparison,
        verdict=verdict,
        request=request,
    )
    process.run(gate_step.report, tuner, code, sources, outputs=[page, summary])

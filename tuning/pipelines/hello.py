"""Define the course's first pipeline: two components that build a greeting. It shows that a runner works."""

# mypy: disable-error-code="untyped-decorator,no-any-return"
# ruff: noqa: RET504 - the components are exact copies of those in the course notebook

from pathlib import Path
from typing import Any

from tuning.pipelines.compiled import check_pinned, compile_to

NAME = "hello-pipeline"


def compile_hello(path: Path, image: str = "") -> Path:
    """Write the pipeline as YAML. `image` is the container image of its components (empty: the package's image).

    Raises TuningError if `image` names no digest.
    """
    check_pinned(image)
    return compile_to(_pipeline(image), path)


def _pipeline(image: str) -> Any:
    from kfp import dsl

    from tuning.pipelines.components import IMAGE

    @dsl.component(base_image=image or IMAGE, install_kfp_package=False)
    def say_hello(name: str) -> str:
        hello_text = f"Hello, {name}!"

        return hello_text

    @dsl.component(base_image=image or IMAGE, install_kfp_package=False)
    def how_are_you(hello_text: str) -> str:
        how_are_you = f"{hello_text}. How are you?"

        return how_are_you

    @dsl.pipeline(name=NAME)
    def hello_pipeline(recipient: str) -> str:
        hello_task = say_hello(name=recipient)
        how_task = how_are_you(hello_text=hello_task.output)
        return how_task.output

    return hello_pipeline

"""A positional argument that an option may stand for: invoke itself requires every positional one."""

from typing import Any, cast

from invoke.parser.argument import Argument
from invoke.tasks import Task


class _Stand(Argument):
    """An option that, when it is given, fills a positional argument with nothing."""

    positional_one: Argument

    def set_value(self, value: Any, cast: bool = True) -> None:
        super().set_value(value, cast)
        if self.positional_one.value is None:
            self.positional_one.set_value("", cast=False)


class QuestionOrFile(Task[Any]):
    """A task of which ``--file`` stands for the positional argument ``question``."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        question = next(argument for argument in arguments if argument.name == "question")
        for argument in arguments:
            if argument.name == "file":
                argument.__class__ = _Stand
                cast(_Stand, argument).positional_one = question
        return arguments

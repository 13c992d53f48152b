"""Positional arguments that may be left out, or that an option may stand for: invoke itself requires every one."""

import sys
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


class JobOrNewest(Task[Any]):
    """A task whose option ``--job`` may be given as a bare word too."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            if argument.name == "job" and _has_bare_word(sys.argv, self.name):
                argument.positional, argument.default = True, None
        return arguments


def _has_bare_word(words: list[str], task: str) -> bool:
    """Whether a word that is neither an option nor the value of one follows the task's name."""
    if task not in words:
        return False
    after = words[words.index(task) + 1 :]
    pairs = zip(["", *after], after, strict=False)
    return any(not word.startswith("-") and before not in ("--target", "--job") for before, word in pairs)

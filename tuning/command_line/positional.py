"""Make positional arguments optional. invoke itself requires every positional argument."""

import sys
from typing import Any, cast

from invoke.parser.argument import Argument
from invoke.tasks import Task


class _Replacement(Argument):
    """Represent an option that sets a missing positional argument to '' when the option is given."""

    replaced: Argument

    def set_value(self, value: Any, cast: bool = True) -> None:
        super().set_value(value, cast)
        if self.replaced.value is None:
            self.replaced.set_value("", cast=False)


class QuestionOrFile(Task[Any]):
    """Represent a task that takes either the positional argument ``question`` or the option ``--file``."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments. If ``--file`` is given, a missing question becomes ''."""
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        question = next(argument for argument in arguments if argument.name == "question")
        for argument in arguments:
            if argument.name == "file":
                argument.__class__ = _Replacement
                cast(_Replacement, argument).replaced = question
        return arguments


class JobOrNewest(Task[Any]):
    """Represent a task that also takes the value of its option ``--job`` as a positional argument."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments.

        ``job`` is positional if, in ``sys.argv``, a word that is not an option or its value follows the task's name.
        """
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            if argument.name == "job" and _has_bare_word(sys.argv, self.name):
                argument.positional, argument.default = True, None
        return arguments


def _has_bare_word(words: list[str], task: str) -> bool:
    """Return whether a word that is neither an option nor an option's value follows the task's name."""
    if task not in words:
        return False
    after = words[words.index(task) + 1 :]
    pairs = zip(["", *after], after, strict=False)
    return any(not word.startswith("-") and before not in ("--target", "--job") for before, word in pairs)

"""Make positional arguments optional. invoke itself requires every positional argument, and takes any word as one."""

import re
import sys
from collections.abc import Collection
from typing import Any, ClassVar, cast

from invoke.exceptions import Exit
from invoke.parser.argument import Argument

from tuning.command_line.shown import Command
from tuning.errors import TuningError
from tuning.values import shown


class _Word(Argument):
    """Represent a positional argument, which is no option. invoke would take ``--help`` for one, for example."""

    task: str

    def set_value(self, value: Any, cast: bool = True) -> None:
        if re.fullmatch(r"-\S*", str(value)):
            error = TuningError(f"{shown(value)} is no {self.name}", f"See `invoke --help {self.task}`")
            raise Exit(f"error: {error}", code=1)
        super().set_value(value, cast)


class Positional(Command):
    """Represent a task whose positional arguments are '' if no word for them follows the task's name in ``sys.argv``.

    So ``invoke TASK --help`` shows the help, and the task itself says in one line what is missing.
    """

    also: ClassVar[Collection[str]] = ()  # names of options that are positional too if a word for them is given

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments."""
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        valued = {f"--{str(argument.name).replace('_', '-')}" for argument in arguments if argument.takes_value}
        is_given = _has_bare_word(sys.argv, self.name, valued)
        for argument in arguments:
            if argument.positional or argument.name in self.also:
                without = "" if argument.positional else argument.default
                argument.positional, argument.default = is_given, None if is_given else without
                argument.__class__ = _Word
                cast(_Word, argument).task = called_as(self.name)
        return arguments


class _Replacement(Argument):
    """Represent an option that sets a missing positional argument to '' when the option is given."""

    replaced: Argument

    def set_value(self, value: Any, cast: bool = True) -> None:
        super().set_value(value, cast)
        if self.replaced.value is None:
            self.replaced.set_value("", cast=False)


class QuestionOrFile(Positional):
    """Represent a task that takes either the positional argument ``question`` or the option ``--file``."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments. If ``--file`` is given, a missing question becomes ''."""
        arguments = super().get_arguments(ignore_unknown_help)
        question = next(argument for argument in arguments if argument.name == "question")
        for argument in arguments:
            if argument.name == "file":
                argument.__class__ = _Replacement
                cast(_Replacement, argument).replaced = question
        return arguments


class JobOrNewest(Positional):
    """Represent a task that also takes the value of its option ``--job`` as a positional argument."""

    also = ("job",)


class VersionOrNone(Positional):
    """Represent a task that also takes the value of its option ``--version`` as a positional argument."""

    also = ("version",)


class VersionOrChampion(Positional):
    """Represent a task that also takes the value of its option ``--model`` as a positional argument."""

    also = ("model",)


def called_as(task: str) -> str:
    """Return the name by which the task was called, with its collection, such as ``explore.peek``."""
    return next((word for word in sys.argv[1:] if _names(word, task)), task)


def _names(word: str, task: str) -> bool:
    return word == task or word.endswith(f".{task}")


def _has_bare_word(words: list[str], task: str, valued: Collection[str]) -> bool:
    """Return whether a word that is neither an option nor the value of one of the options `valued` follows the task."""
    start = next((index for index, word in enumerate(words) if index and _names(word, task)), len(words))
    pairs = zip(["", *words[start + 1 :]], words[start + 1 :], strict=False)
    return any(not word.startswith("-") and before not in valued for before, word in pairs)

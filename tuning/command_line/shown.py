"""Show commands in groups, the kinds of options in help texts, and the name that was meant by a mistyped one.

invoke itself sorts all commands, says STRING, and has no idea.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.parser.parser import ParseMachine
from invoke.tasks import Task

Groups = Mapping[str, Sequence["Task[Any] | Collection"]]


class Command(Task[Any]):
    """Represent a task whose help shows the kind of each option, such as ``--limit=NUMBER``."""

    kinds: Mapping[str, str]  # the word for the kind of each option that takes a value, by name

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments, each with the word for its kind."""
        arguments: list[Argument] = super().get_arguments(ignore_unknown_help)
        for argument in arguments:
            vars(argument)["kind_shown"] = self.kinds.get(str(argument.name), "TEXT")
            argument.raw_value = None  # that of a list is []: invoke would take `--train` without a value for no option
        return arguments


_help_for = ParserContext.help_for


def _help_with_kind(context: ParserContext, flag: str) -> tuple[str, str]:
    names, text = _help_for(context, flag)
    argument = context.flags[flag]
    shown = vars(argument).get("kind_shown", "STRING")
    if argument.kind is list:  # an option that can be repeated, which invoke shows like one without a value
        names += f"={shown}"
    return names.replace("=STRING", f"={shown}"), text


def show_kinds() -> None:
    """Make ``invoke --help TASK`` show the kinds of the options of each `Command`."""
    ParserContext.help_for = _help_with_kind  # type: ignore[assignment, method-assign]


_error = ParseMachine.error


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the hint that ends a message about an unknown name, such as " Did you mean tune?", or ''."""
    found = difflib.get_close_matches(word, list(names), 1)
    return f" Did you mean {found[0]}?" if found else ""


def _error_with_hint(machine: ParseMachine, message: str) -> None:
    """Raise invoke's error with a hint: the name that was meant, where all are listed, or the kind of a value."""
    if unknown := re.fullmatch(r"No idea what '(\S+)' is!", message):
        word = unknown[1]
        context = machine.context if machine.context is not None else machine.initial
        if word.startswith("-"):
            message += nearest(word, context.flags) or f" `invoke --help {context.name or 'TASK'}` lists the options."
        else:
            message += nearest(word, machine.contexts) or " `invoke` lists the commands."
    flag, context = machine.flag, machine.context
    if flag and context and message.endswith("needed value and was not given one!"):
        option = f"--{str(flag.name).strip('_').replace('_', '-')}"
        word = vars(flag).get("kind_shown", "TEXT")
        message = f"error: {option} needs a value: {option}={word}. `invoke --help {context.name}` explains it"
    _error(machine, message)


def hint_at_names() -> None:
    """Make invoke name the command or option that was probably meant."""
    ParseMachine.error = _error_with_hint  # type: ignore[assignment, method-assign]


def in_groups(groups: Groups) -> Iterator[str]:
    """Yield the lines of a list of all commands: for each group its title, and each command with its first sentence."""
    members = {title: dict(_named(some)) for title, some in groups.items()}
    width = max(len(name) for some in members.values() for name in some)
    for title, some in members.items():
        yield f"\n{title}"
        for name, task in some.items():
            yield f"  {name:{width}}  {(task.__doc__ or '').strip().splitlines()[0]}"


def _named(members: Sequence["Task[Any] | Collection"]) -> Iterator[tuple[str, Task[Any]]]:
    for member in members:
        if isinstance(member, Task):
            yield member.name, member
            continue
        for name, task in member.tasks.items():
            yield (str(member.name) if name == member.default else f"{member.name}.{name}"), task

"""What every `invoke` task shares: ``--target``, ``--debug``, numbers checked in one place, errors as one line."""

import functools
import inspect
import os
import select
import sys
import traceback
from collections.abc import Callable
from typing import Any, get_type_hints, overload

import msgspec
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from tuning.errors import TuningError
from tuning.settings import load_settings

_SHARED = {
    "target": "where it runs: local (default) or gcp",
    "debug": "show the traceback of an error",
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """A group of options that several tasks share: a parameter of this kind stands for one option a field.

    Each field is ``Annotated[KIND | None, Meta(description=HELP)] = None``; None means "not given". A flag is
    ``Annotated[bool, Meta(description=HELP)] = False``.
    """

    def given(self) -> dict[str, Any]:
        """The options that were given."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not None and value is not False}


@overload
def command(body: Callable[..., None]) -> "Task[Any]": ...
@overload
def command(body: None = None, **options: Any) -> "Callable[[Callable[..., None]], Task[Any]]": ...
def command(body: Callable[..., None] | None = None, **options: Any) -> Any:
    """Make a task of ``body(c, settings, ...)``: its options are the other parameters, ``--target`` and ``--debug``.

    A parameter annotated int or float is text to invoke (which would print a traceback for ``--limit x``) and converted
    here. A TuningError ends the task with status 1 and its one line on stderr.
    """
    if body is None:
        return functools.partial(command, **options)
    function = body
    hints = get_type_hints(function)
    signature = inspect.signature(function)
    context, _, *parameters = signature.parameters.values()
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Options)}

    @functools.wraps(function)
    def run(c: object, *args: object, target: str | None = None, debug: bool = False, **given: Any) -> None:
        try:
            values = {parameter.name: value for parameter, value in zip(positional, args, strict=False)} | given
            values = {name: _convert(name, value, kinds.get(name)) for name, value in values.items()}
            for name, group in groups.items():
                values[name] = group(
                    **{field: values.pop(field) for field in group.__struct_fields__ if field in values}
                )
            function(c, load_settings({"target": target}), **values)
            sys.stdout.flush()
        except TuningError as error:
            if debug:
                traceback.print_exc()
            raise Exit(f"error: {error}", code=1) from None
        except KeyboardInterrupt:
            raise Exit("interrupted; the next run goes on from what is finished", code=130) from None
        except BrokenPipeError:
            if _is_read():
                raise  # another pipe broke
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would write the rest when it ends
            message = "error: what reads the output has ended; the next run goes on from what is finished"
            raise Exit(message, code=1) from None
        finally:
            sys.stdout.flush()

    kinds = {**hints}
    positional = [parameter for parameter in parameters if parameter.name not in groups]
    shown = [parameter.replace(default=_as_text(parameter, hints)) for parameter in positional]
    helped = {}
    for group in groups.values():
        for name, hint in get_type_hints(group, include_extras=True).items():
            kind, meta = hint.__origin__, hint.__metadata__[0]
            kinds[name], helped[name] = kind, meta.description
            default = False if kind is bool else None  # by which invoke knows a flag
            shown.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    extra = [
        inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, default=None),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False),
    ]
    run.__signature__ = signature.replace(parameters=[context, *sorted(shown + extra, key=lambda one: one.kind)])  # type: ignore[attr-defined]
    options["help"] = {**_SHARED, **helped, **options.get("help", {})}
    made: Task[Any] = task(auto_shortflags=False, **options)(run)
    return made


def _is_read() -> bool:
    """Whether what this process prints still has a reader."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def _is_number(hint: object) -> bool:
    return hint in (int, float, int | None, float | None)


def _as_text(parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
    if _is_number(hints.get(parameter.name)) and parameter.default not in (None, inspect.Parameter.empty):
        return str(parameter.default)
    return parameter.default


def _convert(name: str, value: object, hint: Any) -> object:
    if not isinstance(value, str) or not _is_number(hint):
        return value
    kind = int if hint in (int, int | None) else float
    try:
        return kind(value)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise TuningError(f"--{name.replace('_', '-')} takes {noun}, not {value!r}") from None

"""Build `invoke` tasks that have the options ``--target`` and ``--debug`` and report each TuningError as one line."""

import functools
import inspect
import os
import select
import sys
import traceback
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints, overload

import msgspec
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from tuning.errors import TuningError
from tuning.settings import hide_secrets, load_settings

_SHARED = {
    "target": "where to run: local (default) or gcp",
    "debug": "show the traceback of an error",
}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Group options that several tasks share. A task parameter of this type adds one option for each field.

    Each field is ``Annotated[KIND | None, Meta(description=HELP)] = None``, where None means "not given". A flag is
    ``Annotated[bool, Meta(description=HELP)] = False``. With the kind ``bool | None``, the option takes true or false.
    An option of the kind ``list[int]`` can be repeated.
    """

    def given(self) -> dict[str, Any]:
        """Return the options that the user gave, by name."""
        defaults = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        values = {name: getattr(self, name) for name, default in defaults if getattr(self, name) is not default}
        return {name: value for name, value in values.items() if value != []}


@overload
def command(body: Callable[..., None]) -> "Task[Any]": ...
@overload
def command(body: None = None, **options: Any) -> "Callable[[Callable[..., None]], Task[Any]]": ...
def command(body: Callable[..., None] | None = None, **options: Any) -> Any:
    """Make an invoke task from ``body(c, settings, ...)``.

    The task's options are ``--target``, ``--debug`` and the parameters of `body` after `settings`. A parameter with the
    type ``list[int]`` or ``list[str]`` is an option that can be repeated. invoke parses int and float options as text,
    and this function converts them, because invoke's own conversion prints a traceback for ``--limit x``. A TuningError
    ends the task with status 1 and one line on stderr.
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
            hide_secrets()
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
            raise Exit("interrupted. Run the command again to resume.", code=130) from None
        except BrokenPipeError:
            if _is_read():
                raise  # A different pipe broke, such as one to a worker.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Otherwise, Python's flush of stdout at exit fails too.
            raise Exit("error: the output was closed. Run the command again to resume.", code=1) from None
        finally:
            sys.stdout.flush()

    kinds = {**hints}
    positional = [parameter for parameter in parameters if parameter.name not in groups]
    exposed = [parameter.replace(default=_as_text(parameter, hints)) for parameter in positional]
    group_help = {}
    for group in groups.values():
        for name, hint in get_type_hints(group, include_extras=True).items():
            kind, meta = hint.__origin__, hint.__metadata__[0]
            kinds[name], group_help[name] = kind, meta.description
            default = False if kind is bool else None  # A bool default makes the option a flag.
            exposed.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    extra = [
        inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, default=None),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False),
    ]
    run.__signature__ = signature.replace(parameters=[context, *sorted(exposed + extra, key=lambda one: one.kind)])  # type: ignore[attr-defined]
    options["iterable"] = [name for name, kind in kinds.items() if _is_repeatable(kind)]
    options["help"] = {**_SHARED, **group_help, **options.get("help", {})}
    result: Task[Any] = task(auto_shortflags=False, **options)(run)
    return result


def _is_read() -> bool:
    """Return whether stdout is still open at the other end."""
    poll = select.poll()
    poll.register(1, select.POLLOUT)
    return not any(event & select.POLLERR for _, event in poll.poll(0))


def _is_number(hint: object) -> bool:
    return hint in (int, float, int | None, float | None)


def _is_repeatable(hint: object) -> bool:
    return hint in (list[int], list[int] | None, list[str], list[str] | None)


def _as_text(parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
    if _is_number(hints.get(parameter.name)) and parameter.default not in (None, inspect.Parameter.empty):
        return str(parameter.default)
    return parameter.default


def _convert(name: str, value: object, hint: Any) -> object:
    option = f"--{name.replace('_', '-')}"
    choices = [choice for one in (hint, *get_args(hint)) if get_origin(one) is Literal for choice in get_args(one)]
    if choices and isinstance(value, str) and value not in choices:
        raise TuningError(f"{option} cannot be {value!r}", f"Choose one of: {', '.join(map(str, choices))}")
    if isinstance(value, str) and hint == bool | None:
        if value not in ("true", "false"):
            raise TuningError(f"{option} takes true or false, not {value!r}")
        return value == "true"
    if isinstance(value, list) and _is_repeatable(hint):
        return [_convert(name, one, int if hint in (list[int], list[int] | None) else str) for one in value]
    if not isinstance(value, str) or not _is_number(hint):
        return value
    kind = int if hint in (int, int | None) else float
    try:
        return kind(value)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise TuningError(f"{option} takes {noun}, not {value!r}") from None

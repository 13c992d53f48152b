"""What every `invoke` task shares: ``--target``, ``--debug``, numbers checked in one place, errors as one line."""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from typing import Any, get_type_hints, overload

from invoke.exceptions import Exit
from invoke.tasks import Task, task

from tuning.errors import TuningError
from tuning.settings import load_settings

_SHARED = {
    "target": "where it runs: local (default) or gcp",
    "debug": "show the traceback of an error",
}


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

    @functools.wraps(function)
    def run(c: object, *args: object, target: str | None = None, debug: bool = False, **given: object) -> None:
        try:
            bound = signature.bind_partial(c, None, *args, **given).arguments
            values = {name: _convert(name, value, hints.get(name)) for name, value in bound.items()}
            values[list(signature.parameters)[1]] = load_settings({"target": target})
            function(**values)
        except TuningError as error:
            if debug:
                traceback.print_exc()
            raise Exit(f"error: {error}", code=1) from None
        except KeyboardInterrupt:
            raise Exit("interrupted; the next run goes on from what is finished", code=130) from None
        finally:
            sys.stdout.flush()

    extra = [
        inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, default=None),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False),
    ]
    shown = [parameter.replace(default=_as_text(parameter, hints)) for parameter in parameters]
    run.__signature__ = signature.replace(parameters=[context, *shown, *extra])  # type: ignore[attr-defined]
    options["help"] = {**_SHARED, **options.get("help", {})}
    made: Task[Any] = task(auto_shortflags=False, **options)(run)
    return made


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

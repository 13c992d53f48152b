"""Build `invoke` tasks that have the options ``--target`` and ``--debug`` and report each TuningError as one line."""

import contextlib
import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, get_origin, get_type_hints, overload

from invoke.exceptions import Exit
from invoke.tasks import Task, task
from msgspec import Meta

from tuning import closed_output
from tuning.command_line.options import Options
from tuning.command_line.positional import Positional, QuestionOrFile, called_as
from tuning.command_line.report import Report
from tuning.command_line.run_file import RUN_FILE, RunFile, read_run_file, run_text
from tuning.command_line.shown import Command
from tuning.command_line.stopped import STATUS, StoppedError, stopped_by_signal
from tuning.errors import TuningError
from tuning.paths import expanded
from tuning.resource_errors import file_error
from tuning.settings import changed, hide_secrets, is_in_environment, load_settings, shared_kinds
from tuning.storage import check_home
from tuning.values import InputFile, convert, describe_kind, is_repeatable, kind_word
from tuning.visible import visible_output

_CONFIG = Annotated[
    InputFile | None,
    Meta(description=f"YAML file of options and settings, such as the {RUN_FILE} of a run; options and variables win"),
]
_JSON = Annotated[bool, Meta(description="print one JSON document instead of text")]
_READERS: dict[str, Mapping[str, Any]] = {}  # the kinds that the file of --config can have, by command
_SHARED = {
    "target": "where to run: local (default) or gcp",
    "debug": "show the traceback of an error",
}


@overload
def command(body: Callable[..., Report | None]) -> "Task[Any]": ...
@overload
def command(
    body: None = None, *, writes: bool = True, reads_file: bool = False, **options: Any
) -> "Callable[[Callable[..., Report | None]], Task[Any]]": ...
def command(
    body: Callable[..., Report | None] | None = None, *, writes: bool = True, reads_file: bool = False, **options: Any
) -> Any:
    """Make an invoke task from ``body(c, settings, ...)``.

    The task's options are ``--target``, ``--debug`` and the parameters of `body` after `settings`, or the fields of
    those that are `Options`. A task that returns a `Report` also has ``--json``. One with `reads_file`, or with a
    parameter of the type `RunFile`, which is the file that repeats the command, has ``--config``. Their types declare
    the kind, range, choices and help. All values are checked before `body` runs, and so is the home: with `writes`,
    this user must be able to write into it. invoke parses numbers as
    text, because its own conversion prints a traceback for ``--limit x``. A TuningError, or an error of the operating
    system that a person can fix, ends the task with status 1 and one line on stderr.
    """
    if body is None:
        return functools.partial(command, writes=writes, reads_file=reads_file, **options)
    function = body
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    context, _, *parameters = signature.parameters.values()
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Options)}
    run_file = next((name for name, hint in hints.items() if hint is RunFile), "")
    parameters = [parameter for parameter in parameters if parameter.name != run_file]

    @functools.wraps(function)
    def run(c: object, *args: object, target: str | None = None, debug: bool = False, **given: Any) -> None:
        try:
            hide_secrets()
            _check_alone()
            values = {parameter.name: value for parameter, value in zip(positional, args, strict=False)} | given
            _check_given(result, [name for name in words if values.get(name) == ""])
            values = {name: _convert(name, value, kinds[name]) for name, value in values.items()}
            path = str(values.pop("config", "") or "")
            from_file = (
                read_run_file(expanded(path), shared_kinds() | repeatable, function.__name__, _READERS) if path else {}
            )
            values = _completed(values, from_file, defaults)
            given_values = {name: value for name, value in values.items() if value not in (defaults[name], [])}
            settings = load_settings({"target": target}, file=_without(from_file, repeatable))
            for name, group in groups.items():
                values[name] = group(
                    **{field: values.pop(field) for field in group.__struct_fields__ if field in values}
                )
            if run_file:
                repeated = changed(settings) | given_values
                values[run_file] = RunFile(run_text(called_as(result.name), repeated))
            values = {name: "" if value is None and name in unset else value for name, value in values.items()}
            check_home(settings, writes=writes)
            as_json = bool(values.pop("json", False))
            redirected = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
            with stopped_by_signal(), redirected, visible_output():
                report = function(c, settings, **values)
                if isinstance(report, Report) and not as_json:
                    for text in report.lines:
                        print(text)
            if isinstance(report, Report):
                if as_json:
                    print(report.as_json())
                report.check()
            _flush()
        except TuningError as error:
            raise _failed(error, debug) from None
        except StoppedError:
            raise Exit("stopped (SIGTERM). Run the command again to resume.", code=STATUS) from None
        except KeyboardInterrupt:
            raise Exit("interrupted. Run the command again to resume.", code=130) from None
        except BrokenPipeError:
            if not closed_output.is_closed():
                raise  # A different pipe broke, such as one to a worker.
            closed_output.drop()
            raise Exit(code=closed_output.STATUS) from None
        except OSError as error:
            if (line := file_error(error)) is None:
                raise
            raise _failed(line, debug) from None

    positional = [parameter for parameter in parameters if parameter.name not in groups]
    # invoke copies the signature and the types, and a Meta cannot be copied.
    run.__annotations__ = {}
    # An option that is given as '' is no option that is not given.
    unset = {parameter.name for parameter in positional if parameter.default == ""}
    exposed = [
        parameter.replace(
            default=None if parameter.name in unset else _as_text(parameter.default), annotation=inspect.Parameter.empty
        )
        for parameter in positional
    ]
    kinds = {parameter.name: hints[parameter.name] for parameter in positional}
    for group in groups.values():
        for name, hint in get_type_hints(group, include_extras=True).items():
            kinds[name] = hint
            default = False if hint.__origin__ is bool else None  # A bool default makes the option a flag.
            exposed.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    repeatable = dict(kinds)
    if run_file or reads_file:
        _READERS[function.__name__] = repeatable
        kinds["config"] = _CONFIG
        exposed.append(inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None))
    if hints.get("return") is Report:
        kinds["json"] = _JSON
        exposed.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False))
    defaults = {parameter.name: parameter.default for parameter in (*positional, *exposed)}
    extra = [
        inspect.Parameter("target", inspect.Parameter.KEYWORD_ONLY, default=None),
        inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False),
    ]
    run.__signature__ = signature.replace(parameters=[context, *sorted(exposed + extra, key=lambda one: one.kind)])  # type: ignore[attr-defined]
    options["iterable"] = [name for name, kind in kinds.items() if is_repeatable(kind)]
    options["help"] = {**_SHARED, **{name: _help(kind) for name, kind in kinds.items()}, **options.get("help", {})}
    words = options.get("positional", ())
    options.setdefault("klass", Positional if words else Command)
    result: Command = task(auto_shortflags=False, **options)(run)
    run.repeatable = repeatable  # type: ignore[attr-defined]
    result.kinds = {"target": "CHOICE"} | {name: kind_word(kind) for name, kind in kinds.items()}
    return result


def options_of(task: "Task[Any]") -> dict[str, Any]:
    """Return the declared kinds of the options that a file of ``--config`` can set, by name."""
    return dict(vars(task.body)["repeatable"])


def _completed(
    values: Mapping[str, object], from_file: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, object]:
    """Return the options with those of a file where none was given, unless a variable sets the setting of that name."""
    wanted = {
        name: value
        for name, value in from_file.items()
        if name in values and values[name] in (defaults[name], []) and not is_in_environment(name)
    }
    return {**values, **wanted}


def _without(values: Mapping[str, object], names: Collection[str]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}


def _failed(error: TuningError, debug: bool) -> Exit:
    """Return what ends the task with one line. The output that came before it is printed first."""
    if debug:
        traceback.print_exc()
    try:
        _flush()
    except OSError:
        closed_output.drop()
    return Exit(f"error: {error}", code=1)


def _check_alone() -> None:
    """Raise TuningError if torchrun or accelerate started this command in several processes."""
    if "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        raise TuningError("invoke was started in several processes", "Start it once: it starts a process for each GPU")


def _check_given(asked: Task[Any], missing: list[str]) -> None:
    """Raise TuningError if a positional argument is missing. A `QuestionOrFile` can take a file instead."""
    if missing and not isinstance(asked, QuestionOrFile):
        name = called_as(asked.name)
        raise TuningError(f"{name} needs a {missing[0]}", f"See `invoke --help {name}`")


def _flush() -> None:
    if sys.stdout:  # None if the shell has closed it
        sys.stdout.flush()


def _as_text(default: Any) -> Any:
    """Return a number as text, so that invoke does not convert what is given instead of it."""
    return str(default) if isinstance(default, int | float) and not isinstance(default, bool) else default


def _help(hint: Any) -> str:
    metas = hint.__metadata__ if get_origin(hint) is Annotated else ()
    text = next((meta.description for meta in metas if isinstance(meta, Meta) and meta.description), "")
    kind = "" if hint is bool or getattr(hint, "__origin__", None) is bool else describe_kind(hint)
    return f"{text} [{kind}]" if text and kind else text or kind


def _convert(name: str, value: object, hint: Any) -> object:
    if value is None:
        return None
    try:
        return convert(value, hint)
    except ValueError as error:
        raise TuningError(f"--{name.strip('_').replace('_', '-')} {error}") from None

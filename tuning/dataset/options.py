"""What a dataset is made with: every choice resolved, checked against the others, and hashed into the dataset's ID."""

import datetime
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import orjson

from tuning.dataset.formats.codec import Body
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Format
from tuning.errors import TuningError

if TYPE_CHECKING:
    from tuning.warehouse.variables import Variables

SplitMethod = Literal["hash", "time", "random"]
# Part of every dataset's ID. Raise it whenever a change of our code changes a byte of any dataset.
FORMAT_VERSION = 2


class DatasetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The resolved choices. `resolve_options` makes them from what the command line was given."""

    preset: Literal["", "seed"] = ""
    format: Format = "messages"
    body: Body = "markdown"
    split: SplitMethod = "hash"
    split_date: str = ""  # ISO date; answers of that day and later are the evaluation side of split "time"
    eval_fraction: float = 0.1
    seed: int = 42
    limit: int = 0  # questions, 0: all
    decontaminate: Path | None = None  # text or JSONL file; examples that share 13 words in a row with it are dropped
    tokenizer: Path | None = None  # folder of the model whose tokenizer counts tokens; None: bytes are counted
    max_length: int = 0  # tokens that the trainer reads: an answer that begins beyond never trains; 0: all

    @property
    def is_seed(self) -> bool:
        return self.preset == "seed"

    @property
    def is_preference(self) -> bool:
        return self.format in PREFERENCE_FORMATS

    def recorded(self) -> dict[str, object]:
        """The options as the manifest has them: files by name and content, never by path."""
        values: dict[str, object] = {name: getattr(self, name) for name in self.__struct_fields__}
        for name, path in (("decontaminate", self.decontaminate), ("tokenizer", self.tokenizer)):
            if path:
                content = _read(name, path / "tokenizer.json" if name == "tokenizer" else path)
                values[name] = {"name": path.name, "sha256": hashlib.sha256(content).hexdigest()}
        return values


SEED = DatasetOptions(preset="seed", format="notebook", body="html", split="random", eval_fraction=0.2, seed=42)
# What the seed preset leaves open.
_OPEN_IN_SEED = frozenset({"format", "limit", "decontaminate"})


def resolve_options(preset: str | None = None, tuner: str = "hf", **given: Any) -> DatasetOptions:
    """The options from those that were given (None: not given), or one TuningError for a bad value or combination.

    The tuner only decides the format where none is given.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("decontaminate", "tokenizer"):
        if name in chosen:
            chosen[name] = Path(chosen[name])
    if preset not in (None, "", "seed"):
        raise TuningError(f"there is no preset {preset!r}", "The one preset is: seed")
    for name, allowed in (("format", FORMATS), ("body", get_args(Body)), ("split", get_args(SplitMethod))):
        if name in chosen and chosen[name] not in allowed:
            raise TuningError(f"--{name} is {chosen[name]!r}", f"Choose one of: {', '.join(allowed)}")
    if preset == "seed":
        for name in sorted(set(chosen) - _OPEN_IN_SEED):
            raise TuningError(f"--preset seed decides {_option(name)} itself", "Leave one of the two out")
        if chosen.get("format", "notebook") not in ("notebook", "text-bison"):
            raise TuningError(
                f"--preset seed writes one text, which --format {chosen['format']} does not",
                "Use --format notebook or text-bison with it",
            )
    base = SEED if preset == "seed" else DatasetOptions(format="gemini" if tuner == "gemini" else "messages")
    options = msgspec.structs.replace(base, **chosen)
    _check(options, chosen)
    return options


def resolve_variables(preset: str | None = None, **given: str | None) -> "Variables":
    """The variables of the build that a dataset is made of: the preset's, or the defaults save those given."""
    from tuning.warehouse.variables import Variables

    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if preset == "seed":
        for name in sorted(chosen):
            raise TuningError(f"--preset seed decides {_option(name)} itself", "Leave one of the two out")
        return Variables.seed()
    return Variables(**chosen)


def _check(options: DatasetOptions, chosen: dict[str, Any]) -> None:
    if options.split == "time" and not options.split_date:
        raise TuningError("--split time needs a date", "Give --split-date YYYY-MM-DD")
    if options.split_date:
        if options.split != "time":
            raise TuningError(f"--split-date has no meaning with --split {options.split}", "Use --split time with it")
        try:
            datetime.date.fromisoformat(options.split_date)
        except ValueError:
            raise TuningError(f"--split-date {options.split_date!r} is no date", "Write it as YYYY-MM-DD") from None
    if options.split == "time" and "eval_fraction" in chosen:
        raise TuningError("--split time divides at its date alone", "Leave --eval-fraction out")
    if not 0 < options.eval_fraction < 1:
        raise TuningError(f"--eval-fraction is {options.eval_fraction}", "It lies between 0 and 1")
    if options.limit < 0:
        raise TuningError(f"--limit is {options.limit}", "It is a number of questions, or 0 for all")
    if options.max_length < 0:
        raise TuningError(f"--max-length is {options.max_length}", "It is a number of tokens, or 0 for no bound")
    if options.max_length and not options.tokenizer:
        raise TuningError("--max-length counts the tokens of a model", "Name that model with --tokenizer")
    if not 0 <= options.seed < 2**32:
        raise TuningError(f"--seed is {options.seed}", "It is a whole number from 0 to 4294967295")
    if options.decontaminate and not options.decontaminate.is_file():
        raise TuningError(f"--decontaminate: there is no file {options.decontaminate}")


def dataset_id(digest: str, options: DatasetOptions, template: str, versions: dict[str, str]) -> str:
    """Sixteen hex digits that the same input, options, libraries and format version always give."""
    parts = [FORMAT_VERSION, digest, options.recorded(), template, versions]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TuningError(f"{_option(name)}: {path} cannot be read ({error.strerror})") from None

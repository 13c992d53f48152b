"""Resolve and check the options of a dataset, and compute its ID from them."""

import datetime
import hashlib
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import orjson

from tuning.command_line.options import BuildOptions
from tuning.dataset.benchmark_files import benchmark_files
from tuning.dataset.decisions import rejected
from tuning.dataset.formats.codec import Body
from tuning.dataset.formats.records import FORMATS, PREFERENCE_FORMATS, Format
from tuning.dataset.redact.own_rules import load_rules
from tuning.errors import TuningError

if TYPE_CHECKING:
    from tuning.warehouse.variables import Variables

# "given" and "evaluation" are for own data: the user named the files of each side, or all is for evaluation.
SplitMethod = Literal["hash", "time", "random", "given", "evaluation"]
Code = Literal["any", "parses"]
# Part of every dataset's ID. Increase it when a code change alters any byte of any dataset.
FORMAT_VERSION = 14


class DatasetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the resolved options. `resolve_options` creates them from the options of the command line."""

    preset: Literal["", "seed"] = ""
    format: Format = "messages"
    body: Body = "markdown"
    split: SplitMethod = "hash"
    split_date: str = ""  # ISO date; with split "time", answers from that day (UTC) or later are in the eval split
    eval_fraction: float = 0  # share of the eval split; 0: depends on the origin, see `settled`
    seed: int = 42
    limit: int = 0  # number of questions; 0: all
    code: Code = "any"  # "parses": only answers with Python code blocks, all of which parse
    decontaminate: Path | None = None  # file or folder of a benchmark; examples with its texts are dropped
    redact_rules: Path | None = None  # TOML file with more secrets to replace; see `redact/own_rules.py`
    decisions: Path | None = None  # file of `invoke review`; examples that it rejects are dropped; see `decisions.py`
    tokenizer: Path | None = None  # folder of the model whose tokenizer counts tokens; None: estimate from bytes
    parquet: bool = False  # write the examples also as Parquet files
    max_length: int = 0  # tokens that the trainer reads; examples whose answer starts later are dropped; 0: no limit
    denied: tuple[int, ...] = ()  # sorted ids of the snapshot's posts that are on the deny list; see `denied.py`

    @property
    def is_seed(self) -> bool:
        """Return whether the seed preset is used."""
        return self.preset == "seed"

    @property
    def is_own(self) -> bool:
        """Return whether the texts are own data, which stay as they are."""
        return self.body == "text"

    @property
    def is_preference(self) -> bool:
        """Return whether the format has a chosen and a rejected answer."""
        return self.format in PREFERENCE_FORMATS

    def settled(self, origin: object) -> "DatasetOptions":
        """Return the options. If `eval_fraction` is 0, set it to the default share for this kind of origin."""
        if self.eval_fraction:
            return self
        return msgspec.structs.replace(self, eval_fraction=_EVAL_FRACTIONS.get(str(origin), 0.1))

    def recorded(self) -> dict[str, object]:
        """Return the options for the manifest. Files are recorded by name and SHA-256, without their path.

        Raises TuningError if a file cannot be read.
        """
        values: dict[str, object] = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("redact_rules", "decisions"):
            if not values[name]:
                del values[name]  # so that the IDs of earlier datasets stay the same
        del values["denied"]
        if self.denied:  # a manifest does not name forgotten posts
            digest = hashlib.sha256(orjson.dumps(self.denied)).hexdigest()
            values["deny_list"] = {"posts": len(self.denied), "sha256": digest}
        if not self.parquet:
            del values["parquet"]
        for name, (path, content) in self.files().items():
            values[name] = {"name": path.name, "sha256": _sha256(name, content)}
        return values

    def files(self) -> dict[str, tuple[Path, list[Path]]]:
        """Return by option the file or folder that it names, and the files that are read of it.

        Raises TuningError if a folder cannot be read.
        """
        files = {
            "decontaminate": (self.decontaminate, benchmark_files(self.decontaminate) if self.decontaminate else []),
            "redact_rules": (self.redact_rules, [self.redact_rules] if self.redact_rules else []),
            "decisions": (self.decisions, [self.decisions] if self.decisions else []),
            "tokenizer": (self.tokenizer, [self.tokenizer / "tokenizer.json"] if self.tokenizer else []),
        }
        return {name: (path, content) for name, (path, content) in files.items() if path}


BODIES: tuple[Body, ...] = ("markdown", "html")  # those of a mart
SPLITS: tuple[SplitMethod, ...] = ("hash", "time", "random")
# By kind of origin; 0.1 for other kinds. A tenth of the small sample would be too few questions for the release gate.
_EVAL_FRACTIONS = {"synthetic": 0.32}
SEED = DatasetOptions(preset="seed", format="notebook", body="html", split="random", eval_fraction=0.2, seed=42)
# Options that can be combined with the seed preset.
_OPEN_IN_SEED = frozenset({"format", "limit", "decontaminate", "parquet"})


def resolve_options(preset: str | None = None, tuner: str = "hf", **given: Any) -> DatasetOptions:
    """Return the resolved options from the given ones (None: not given). `tuner` only sets the default format.

    Raises TuningError for an invalid value or combination.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in ("decontaminate", "redact_rules", "decisions", "tokenizer"):
        if name in chosen:
            chosen[name] = Path(chosen[name])
    if preset not in (None, "", "seed"):
        raise TuningError(f"there is no preset {preset!r}", "The only preset is: seed")
    choices = {"format": FORMATS, "body": BODIES, "split": SPLITS, "code": get_args(Code)}
    for name, allowed in choices.items():
        if name in chosen and chosen[name] not in allowed:
            raise TuningError(f"--{name} cannot be {chosen[name]!r}", f"Choose one of: {', '.join(allowed)}")
    if preset == "seed":
        for name in sorted(set(chosen) - _OPEN_IN_SEED):
            raise TuningError(f"--preset seed sets {_option(name)} itself", "Remove one of the two options")
        if chosen.get("format", "notebook") not in ("notebook", "text-bison"):
            raise TuningError(
                f"--preset seed writes each prompt as a single text, but --format {chosen['format']} does not",
                "Use --format notebook or --format text-bison",
            )
    base = SEED if preset == "seed" else DatasetOptions(format="gemini" if tuner == "gemini" else "messages")
    options = msgspec.structs.replace(base, **chosen)
    _check(options, chosen.keys())
    return options


def resolve_variables(preset: str | None, given: BuildOptions) -> "Variables":
    """Return the dbt variables of the dataset's build: those of the preset, or the given and default ones.

    Raises TuningError for an invalid value or combination.
    """
    from tuning.warehouse.variables import Variables

    chosen = given.given()
    if preset == "seed":
        for name in sorted(chosen):
            raise TuningError(f"--preset seed sets {_option(name)} itself", "Remove one of the two options")
        return Variables.seed()
    return Variables(**chosen)


def _check(options: DatasetOptions, chosen: Set[str]) -> None:
    if options.split == "time" and not options.split_date:
        raise TuningError("--split time needs a date", "Add --split-date YYYY-MM-DD")
    if options.split_date:
        if options.split != "time":
            raise TuningError(f"--split-date cannot be combined with --split {options.split}", "Use --split time")
        try:
            datetime.date.fromisoformat(options.split_date)
        except ValueError:
            raise TuningError(f"--split-date: {options.split_date!r} is not a date (use YYYY-MM-DD)") from None
    if options.split == "time" and "eval_fraction" in chosen:
        raise TuningError("--split time splits by date, not by --eval-fraction", "Remove --eval-fraction")
    if "eval_fraction" in chosen and not 0 < options.eval_fraction < 1:
        raise TuningError(f"--eval-fraction cannot be {options.eval_fraction}", "Use a number between 0 and 1")
    if options.limit < 0:
        raise TuningError(f"--limit cannot be {options.limit}", "Use a number of questions, or 0 for all")
    if options.max_length < 0:
        raise TuningError(f"--max-length cannot be {options.max_length}", "Use a number of tokens, or 0 for no limit")
    if options.max_length and not options.tokenizer:
        raise TuningError("--max-length needs the tokenizer of a model", "Name the model with --tokenizer")
    if not 0 <= options.seed < 2**32:
        raise TuningError(f"--seed cannot be {options.seed}", "Use a whole number from 0 to 4294967295")
    if options.decontaminate and not options.decontaminate.exists():
        raise TuningError(f"--decontaminate: there is no file {options.decontaminate}")
    if options.redact_rules:
        load_rules(options.redact_rules)
    if options.decisions:
        rejected(options.decisions)


def dataset_id(digest: str, options: dict[str, object], build: dict[str, object], versions: dict[str, str]) -> str:
    """Return the ID of a dataset: 16 hex digits of a hash of the arguments and FORMAT_VERSION.

    `digest` is that of the snapshot's rows, and `options` and `build` are those that the manifest records, with the
    instruction template. Two builds can have the same rows, but a manifest names one build only.
    """
    parts = [FORMAT_VERSION, digest, options, build, versions]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _sha256(name: str, paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a file, or that of the SHA-256 of several files."""
    digests = []
    for path in paths:
        try:
            with path.open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256"))
        except OSError as error:
            raise TuningError(f"{_option(name)}: {path} cannot be read ({error.strerror})") from None
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()

"""Define every setting, with its default and its environment variable (``TUNING_`` and the name in capitals).

Order of precedence: command-line option, environment variable, file of ``--config``, default. An import of this module
reads no variables.
A secret may also be in a file: the variable with ``_FILE`` at its end, such as ``TUNING_ACCESS_TOKEN_FILE``, names it.
"""

import atexit
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

from tuning.errors import TuningError
from tuning.paths import expanded, refuse_pipe
from tuning.values import Accelerator, Name, NotAnOption, convert, describe_kind, shown

PACKAGE = Path(__file__).resolve().parent
PROJECT_ROOT = PACKAGE.parent
# In a checkout, the dbt project and the run-time files are next to the package. The wheel has the dbt project inside
# the package, and the run-time files go to the current folder.
IS_CHECKOUT = (PROJECT_ROOT / "dbt_project").is_dir()
DBT_PROJECT = (PROJECT_ROOT if IS_CHECKOUT else PACKAGE) / "dbt_project"
PREFIX = "TUNING_"
_FILE = "_FILE"  # at the end of a variable: it names the file of a secret
# Variables that only the tests read. This one names the folder of the real data.
_NOT_SETTINGS = frozenset({"TUNING_TEST_DATA"})
_REFUSED = re.compile(r"[?:]|\{\{\$")  # DuckDB, PATH and kfp.local misread them in the name of a folder
_RENAMED = {"TUNING_DATASET": "TUNING_BIGQUERY_DATASET"}

TargetName = Literal["local", "gcp"]
Positive = Annotated[int, Meta(gt=0)]
# As Google allows them, without the characters that no server or file system takes.
Project = Annotated[str, Meta(pattern=r"[a-z][a-z0-9.:-]{1,99}", title="a Google Cloud project")]
BigQueryDataset = Annotated[str, Meta(pattern=r"\w{1,100}", title="up to 100 letters, digits and _")]
Place = Annotated[str, Meta(pattern=r"[A-Za-z0-9-]{1,50}", title="letters, digits and -")]
Bucket = Annotated[str, Meta(pattern=r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", title="a bucket, without gs://")]
Endpoint = Annotated[
    str,
    Meta(
        pattern=r"https?://[!-~]{1,1000}",
        title="an address that begins with http:// or https://",
        extra={"address": True},
    ),
]
Word = Annotated[str, Meta(pattern=r"[!-~]{1,4000}", title="ASCII text without blanks")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the effective settings of one command. Paths are absolute, sizes in bytes, and prices in US dollars."""

    home: Annotated[Path, Meta(description="folder for all files that the commands create")] = (
        PROJECT_ROOT if IS_CHECKOUT else Path()
    ) / "var"
    target: Annotated[TargetName, Meta(description="where to run: local (this machine) or gcp")] = "local"

    project: Annotated[Project, Meta(description="Google Cloud project; only a name on target local")] = "local-project"
    location: Annotated[Place, Meta(description="BigQuery location; the public dataset is in US")] = "US"
    region: Annotated[Place, Meta(description="Vertex AI region for pipelines and tuning")] = "us-central1"
    bucket: Annotated[Bucket, Meta(description="bucket for snapshots, datasets and pipeline files")] = "tuning"
    bigquery_dataset: Annotated[BigQueryDataset, Meta(description="BigQuery dataset that dbt builds into")] = (
        "python_qa"
    )
    raw_database: Annotated[Project, Meta(description="project of the source tables")] = "bigquery-public-data"
    raw_schema: Annotated[BigQueryDataset, Meta(description="BigQuery dataset of the source tables")] = "stackoverflow"
    maximum_bytes_billed: Annotated[
        Positive, Meta(description="maximum bytes that one query may bill; a full build reads 66 GB")
    ] = 100 * 10**9
    job_timeout: Annotated[Positive, Meta(le=604_800, description="maximum seconds for one BigQuery job")] = 1800

    bigquery_endpoint: Annotated[
        Endpoint, Meta(description="BigQuery server; empty: Google's, or the local server on target local")
    ] = ""
    storage_endpoint: Annotated[
        Endpoint, Meta(description="Cloud Storage server; empty: Google's, or a local folder on target local")
    ] = ""
    vertex_endpoint: Annotated[Endpoint, Meta(description="Vertex AI server; empty: Google's")] = ""
    google_endpoint: Annotated[
        Endpoint,
        Meta(description="server for Google's other APIs and its template registry; empty: Google's"),
    ] = ""
    bigquery_port: Annotated[
        Positive, Meta(le=65_535, description="port of the local BigQuery (REST); gRPC uses any free port")
    ] = 9050
    access_token: Annotated[
        Word, Meta(description="bearer token for servers on this machine", extra={"secret": True})
    ] = ""

    tuner: Annotated[Literal["hf", "gemini"], Meta(description="tuner: hf (trains here) or gemini")] = "hf"
    base_model: Annotated[
        NotAnOption, Meta(description="smollm2, tiny, a Hugging Face name or folder, or a Gemini model")
    ] = "smollm2"
    gemini_model: Annotated[
        Word, Meta(description="model that tuner gemini tunes if --base-model is not a Google model")
    ] = "gemini-3.5-flash-lite"
    training_price: Annotated[
        float, Meta(ge=0, description="US dollars per million training tokens; 0: use the built-in price table")
    ] = 0.0
    poll_seconds: Annotated[
        float, Meta(gt=0, le=86_400, description="seconds between status checks of a running job")
    ] = 30.0
    requests_per_minute: Annotated[
        Positive, Meta(description="maximum requests per minute to a model on Vertex AI")
    ] = 120
    budget: Annotated[float, Meta(ge=0, description="maximum cost of one run in US dollars; 0: no limit")] = 0.0

    machine_cpus: Annotated[
        int, Meta(ge=0, le=96, description="CPUs of the machine that tunes on target gcp (tuner hf); 0: the default")
    ] = 0
    machine_memory: Annotated[int, Meta(ge=0, le=624, description="GB of memory of that machine; 0: the default")] = 0
    accelerator: Annotated[Accelerator, Meta(description="GPU of that machine")] = "default"
    accelerator_count: Annotated[int, Meta(ge=0, le=16, description="number of these GPUs; 0: one, if any")] = 0
    spot: Annotated[
        bool, Meta(description="tune on a Spot machine, which costs less and can be taken back at any time")
    ] = False
    disk_gb: Annotated[
        int,
        Meta(
            ge=0,
            le=64_000,
            description="GB of disk of the machine that tunes, at least 100; 0: the default",
        ),
    ] = 0
    nodes: Annotated[
        int, Meta(ge=1, le=64, description="number of machines that tune one model together on target gcp")
    ] = 1
    machine_price: Annotated[float, Meta(ge=0, description="US dollars per hour of one such machine; 0: unknown")] = 0.0

    evaluation_examples: Annotated[
        Positive,
        Meta(
            description="examples to compute the loss on; more take longer but narrow the intervals; "
            "a slice with fewer than 100 never blocks a release",
        ),
    ] = 36
    evaluation_answers: Annotated[
        int,
        Meta(ge=0, description="how many of the evaluation examples get a generated answer"),
    ] = 5
    tracking: Annotated[
        str,
        Meta(
            pattern=r"none|(vertex|mlflow|wandb|trackio)(,(vertex|mlflow|wandb|trackio))*",
            title="none, or vertex, mlflow, wandb or trackio, separated by commas",
            description="experiment trackers that get curves, metrics and verdict of each run; vertex is Vertex AI "
            "Experiments and the default on target gcp; install the others yourself",
        ),
    ] = ""
    run_answers: Annotated[
        Literal["sandboxed", "unprotected", "no"],
        Meta(
            description="run the code in answers: sandboxed, unprotected (also where the sandbox is incomplete), or no"
        ),
    ] = "sandboxed"

    serve_log: Annotated[
        bool, Meta(description="log the redacted questions and answers of `invoke serve`: true or false")
    ] = False
    serve_log_days: Annotated[
        Positive, Meta(le=3650, description="days after which the log of `invoke serve` is deleted")
    ] = 30

    judge_key: Annotated[Word, Meta(description="key of the server named by --judge", extra={"secret": True})] = ""

    webhook: Annotated[
        Endpoint,
        Meta(
            description="webhook of the team's chat (Slack's JSON) that gets the end of each refresh, on target local",
            extra={"secret": True},
        ),
    ] = ""
    webhook_secret: Annotated[
        Name, Meta(description="name of the secret in Secret Manager with the webhook's address, on target gcp")
    ] = ""

    service_account: Annotated[Word, Meta(description="service account of pipeline runs")] = ""
    kms_key: Annotated[Word, Meta(description="Cloud KMS key that encrypts pipeline runs and models")] = ""
    network: Annotated[Word, Meta(description="VPC network of pipeline runs")] = ""
    image: Annotated[Word, Meta(description="image of the steps on target gcp: NAME@sha256:DIGEST")] = ""

    @property
    def datasets_dir(self) -> Path:
        """Return the folder of the finished datasets."""
        return self.home / "datasets"

    @property
    def runs_dir(self) -> Path:
        """Return the folder of the pipeline runs, with their reports."""
        return self.home / "runs"

    @property
    def models_dir(self) -> Path:
        """Return the folder of the registered model versions."""
        return self.home / "models"

    @property
    def warehouse_dir(self) -> Path:
        """Return the folder of the data and log of the local BigQuery."""
        return self.home / "warehouse"

    @property
    def gcs_dir(self) -> Path:
        """Return the folder that replaces Cloud Storage: ``gs://BUCKET/NAME`` is the file ``gcs_dir/BUCKET/NAME``."""
        return self.home / "gcs"

    @property
    def cache_dir(self) -> Path:
        """Return the folder of downloads and files derived from them. You can delete it; commands create it again."""
        return self.home / "cache"


def variable(name: str) -> str:
    """Return the name of a setting's environment variable."""
    return PREFIX + name.upper()


def load_settings(
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Mapping[str, object] | None = None,
) -> Settings:
    """Load the settings from command-line `options` (None: not given), then from `environ`, `file` and the defaults.

    `environ` defaults to the environment of this process. `file` has checked values by name. Raises TuningError if a
    ``TUNING_`` variable is unknown or a value has the wrong type.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = dict(file or {})
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or text == "":
            continue
        if name in _RENAMED:
            raise TuningError(f"the setting {name} is now {_RENAMED[name]}", f"Rename the variable to {_RENAMED[name]}")
        field = name.removeprefix(PREFIX).lower()
        if name in _secret_files():
            field, text = _secret_files()[name], _read_secret(name, text)
        elif variable(field) != name or field not in Settings.__struct_fields__:
            raise TuningError(f"unknown setting {name}", "`invoke config` lists the settings")
        values[field] = _convert(field, text, f"the environment variable {name}")
    for field, value in (options or {}).items():
        if value is not None:
            values[field] = _convert(field, value, f"--{field.replace('_', '-')}")
    settings = Settings(**values)  # type: ignore[arg-type]
    return msgspec.structs.replace(settings, home=_usable_home(settings.home))


def origin(name: str, options: Mapping[str, object], environ: Mapping[str, str] | None = None) -> str:
    """Return the origin of one setting's value: ``option``, the name of the environment variable, or ``default``."""
    environ = os.environ if environ is None else environ
    if options.get(name) is not None:
        return "option"
    names = (variable(name), variable(name) + _FILE)
    return next((one for one in names if environ.get(one)), "default")


def shared_kinds() -> dict[str, Any]:
    """Return the kinds of the settings that a file of `--config` may name: all but the home and the secrets."""
    hints = _hints()
    return {name: hint for name, hint in hints.items() if name != "home" and not _is_secret(name)}


def changed(settings: Settings) -> dict[str, object]:
    """Return those of the settings in `shared_kinds` that are not the defaults."""
    default = Settings()
    values = {name: getattr(settings, name) for name in shared_kinds()}
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def is_in_environment(name: str) -> bool:
    """Return whether a variable of this process's environment sets the setting."""
    return bool(os.environ.get(variable(name)))


def hide_secrets() -> None:
    """Move the secrets of this process's environment into files that only this user can read, for the child processes.

    Otherwise, every child inherits them, and other programs can read the environments. On Linux the files have no name
    on disk, so they end with this process. Elsewhere they are deleted when it ends. Call this before any thread starts.
    """
    for name in _secret_files().values():
        text = os.environ.get(variable(name), "")
        if not text:
            continue
        handle, path = tempfile.mkstemp(prefix="python-qa-")  # with mode 0600
        os.write(handle, os.fsencode(text))
        if sys.platform == "linux":
            Path(path).unlink()
            path = f"/proc/{os.getpid()}/fd/{handle}"
        else:
            os.close(handle)
            atexit.register(Path(path).unlink, missing_ok=True)
        find = ctypes.CDLL(None).getenv
        find.restype = ctypes.c_void_p
        if place := find(variable(name).encode()):  # the system shows this memory, also of a deleted variable
            ctypes.memset(place, 0, len(os.fsencode(text)))
        del os.environ[variable(name)]
        os.environ[variable(name) + _FILE] = path


def _secret_files() -> dict[str, str]:
    """Return the names of the variables that name files of secrets, each with its setting."""
    return {variable(name) + _FILE: name for name in Settings.__struct_fields__ if _is_secret(name)}


def _read_secret(name: str, path: str) -> str:
    try:
        refuse_pipe(expanded(path))
        return expanded(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TuningError(f"cannot read {path} ({reason})", f"Correct {name}, or unset it") from None


class Described(NamedTuple):
    """Hold one effective setting. A secret is masked."""

    name: str
    value: str
    origin: str
    description: str


def describe(options: Mapping[str, object] | None = None) -> list[Described]:
    """Return each effective setting. Secrets are masked.

    Raises TuningError if a setting is unknown or has a wrong value.
    """
    settings = load_settings(options)
    rows = []
    for name in Settings.__struct_fields__:
        value = str(getattr(settings, name))
        printed = "********" if value and _is_secret(name) else value
        rows.append(
            Described(
                name,
                printed,
                origin(name, options or {}),
                next(meta.description for meta in _metas(name) if meta.description),
            )
        )
    return rows


@cache
def _hints() -> dict[str, Any]:
    """Return the type of each setting."""
    return get_type_hints(Settings, include_extras=True)


def _metas(name: str) -> list[Meta]:
    hint = _hints()[name]
    return [part for part in hint.__metadata__ if isinstance(part, Meta)]


def _is_secret(name: str) -> bool:
    return any((meta.extra or {}).get("secret") for meta in _metas(name))


def _convert(field: str, value: object, where: str) -> object:
    if field not in Settings.__struct_fields__:
        raise TuningError(f"unknown setting {field!r}", "`invoke config` lists the settings")
    if value == "" and getattr(Settings(), field) == "":  # not set
        return value
    hint = _hints()[field]
    try:
        return convert(value, hint)
    except ValueError:
        printed = "the given value" if _is_secret(field) else shown(value)
        allowed = describe_kind(hint) or "text in UTF-8"
        raise TuningError(
            f"{where}: {printed} is not valid (use {allowed})", "`invoke config` explains each setting"
        ) from None


def _usable_home(home: Path) -> Path:
    """Return the absolute path without links. Raises TuningError if a library would misread its name.

    The home can be relative, so this also concerns the current folder.
    """
    try:
        home = expanded(str(home)).absolute().resolve()  # so that a home has one name, and as bqemulator follows links
    except (OSError, RuntimeError) as error:  # for example, a link to itself
        raise TuningError(
            f"{variable('home')}: {shown(home)} cannot be used ({error})", "Name another folder"
        ) from None
    name = str(home)
    refused = {found.group() for found in _REFUSED.finditer(name)} | {char for char in name if not char.isprintable()}
    if refused:
        raise TuningError(
            f"the home {shown(home)} contains {', '.join(map(repr, sorted(refused)))}, which libraries misread",
            f"Set {variable('home')} to a folder without it",
        )
    return home

"""Every setting, with its default and its environment variable (``TUNING_`` and the name in capitals).

Order of precedence: command-line option, environment variable, default. Nothing is read at import.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import msgspec
from msgspec import Meta

from tuning.errors import TuningError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PREFIX = "TUNING_"
# Read by the tests only, never by the package: where the real data lies.
_NOT_SETTINGS = frozenset({"TUNING_TEST_DATA"})

Target = Literal["local", "gcp"]
Positive = Annotated[int, Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The effective settings of one invocation. Paths are absolute; sizes are in bytes, money in US dollars."""

    home: Annotated[Path, Meta(description="folder of everything made at run time")] = PROJECT_ROOT / "var"
    target: Annotated[Target, Meta(description="where it runs: local (this machine) or gcp")] = "local"

    project: Annotated[str, Meta(description="Google Cloud project; locally only a name")] = "local-project"
    location: Annotated[str, Meta(description="BigQuery location; the public dataset is in US")] = "US"
    region: Annotated[str, Meta(description="Vertex AI region of pipelines and tuning")] = "us-central1"
    bucket: Annotated[str, Meta(description="bucket of snapshots, datasets and pipeline files")] = "tuning"
    dataset: Annotated[str, Meta(description="BigQuery dataset that dbt builds into")] = "python_qa"
    raw_database: Annotated[str, Meta(description="project of the source tables")] = "bigquery-public-data"
    raw_schema: Annotated[str, Meta(description="BigQuery dataset of the source tables")] = "stackoverflow"
    maximum_bytes_billed: Annotated[
        Positive, Meta(description="most bytes one query may bill; a full build reads 66 GB")
    ] = 100 * 10**9
    job_timeout: Annotated[Positive, Meta(description="seconds a BigQuery job may take")] = 1800

    bigquery_endpoint: Annotated[str, Meta(description="BigQuery server; empty: Google's own, or the local one")] = ""
    storage_endpoint: Annotated[
        str, Meta(description="Cloud Storage server; empty: Google's own, or the local folder")
    ] = ""
    vertex_endpoint: Annotated[str, Meta(description="Vertex AI server; empty: Google's own")] = ""
    google_endpoint: Annotated[
        str,
        Meta(description="server that stands for Google's other APIs and its template registry; empty: Google's own"),
    ] = ""
    bigquery_port: Annotated[
        Positive, Meta(description="port of the local BigQuery (REST); gRPC takes the next free one")
    ] = 9050
    access_token: Annotated[str, Meta(description="bearer token for servers on loopback", extra={"secret": True})] = ""

    tuner: Annotated[Literal["hf", "gemini"], Meta(description="what tunes")] = "hf"
    base_model: Annotated[str, Meta(description="smollm2, tiny, a Hugging Face name or folder, or a Gemini model")] = (
        "smollm2"
    )
    gemini_model: Annotated[
        str, Meta(description="what tuner gemini tunes where --base-model names nothing of Google's")
    ] = "gemini-3.5-flash-lite"
    training_price: Annotated[
        float, Meta(ge=0, description="US dollars per million trained tokens; 0: that of the dated table of prices")
    ] = 0.0
    poll_seconds: Annotated[float, Meta(gt=0, description="seconds between two looks at a running job")] = 30.0
    requests_per_minute: Annotated[Positive, Meta(description="most questions a minute to a model on Vertex AI")] = 120
    budget: Annotated[float, Meta(ge=0, description="most money one run may cost in US dollars; 0: no bound")] = 0.0

    evaluation_examples: Annotated[
        Positive,
        Meta(
            description="examples whose loss is evaluated; more narrow the intervals and take longer, a slice needs 100"
        ),
    ] = 48
    evaluation_answers: Annotated[
        int, Meta(ge=0, description="of those, how many get a generated answer; about 2 s each and model on two cores")
    ] = 8
    gate_mode: Annotated[
        Literal["superiority", "non-inferiority"], Meta(description="what a new model must be against the champion")
    ] = "superiority"
    gate_margin: Annotated[
        float, Meta(ge=0, description="how much worse than the champion non-inferiority allows, in the primary metric")
    ] = 0.0

    service_account: Annotated[str, Meta(description="service account of pipeline runs")] = ""
    kms_key: Annotated[str, Meta(description="Cloud KMS key that encrypts pipeline runs and models")] = ""
    network: Annotated[str, Meta(description="VPC network of pipeline runs")] = ""
    image: Annotated[str, Meta(description="container image of the pipeline's components on gcp")] = ""

    @property
    def datasets_dir(self) -> Path:
        return self.home / "datasets"

    @property
    def runs_dir(self) -> Path:
        return self.home / "runs"

    @property
    def models_dir(self) -> Path:
        return self.home / "models"

    @property
    def warehouse_dir(self) -> Path:
        return self.home / "warehouse"

    @property
    def gcs_dir(self) -> Path:
        """What ``gs://BUCKET/...`` means locally is ``gcs_dir/BUCKET/...``."""
        return self.home / "gcs"

    @property
    def cache_dir(self) -> Path:
        """Downloads and what is made of them; deleting it costs time only."""
        return self.home / "cache"


def variable(name: str) -> str:
    return PREFIX + name.upper()


def load_settings(options: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from command-line `options` (None: not given), then `environ` (the process's own), then defaults.

    Raises TuningError for an unknown ``TUNING_`` variable and for a value of the wrong type, naming it.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or text == "":
            continue
        field = name.removeprefix(PREFIX).lower()
        if variable(field) != name or field not in Settings.__struct_fields__:
            raise TuningError(f"unknown setting {name}", "`invoke config` lists the settings")
        values[field] = _convert(field, text, f"the environment variable {name}")
    for field, value in (options or {}).items():
        if value is not None:
            values[field] = _convert(field, value, f"--{field.replace('_', '-')}")
    settings = Settings(**values)  # type: ignore[arg-type]
    return msgspec.structs.replace(settings, home=settings.home.expanduser().absolute())


def origin(name: str, options: Mapping[str, object], environ: Mapping[str, str] | None = None) -> str:
    """Where the effective value of one setting came from: ``option``, the variable's name, or ``default``."""
    environ = os.environ if environ is None else environ
    if options.get(name) is not None:
        return "option"
    return variable(name) if environ.get(variable(name)) else "default"


def describe(options: Mapping[str, object] | None = None) -> list[tuple[str, str, str, str]]:
    """Rows (name, value, where it came from, what it is) of the effective settings; secrets are masked."""
    settings = load_settings(options)
    rows = []
    for name in Settings.__struct_fields__:
        value = str(getattr(settings, name))
        shown = "********" if value and _is_secret(name) else value
        rows.append(
            (
                name,
                shown,
                origin(name, options or {}),
                next(meta.description for meta in _metas(name) if meta.description),
            )
        )
    return rows


def _metas(name: str) -> list[Meta]:
    hint = get_type_hints(Settings, include_extras=True)[name]
    return [part for part in hint.__metadata__ if isinstance(part, Meta)]


def _is_secret(name: str) -> bool:
    return any((meta.extra or {}).get("secret") for meta in _metas(name))


def _convert(field: str, value: object, where: str) -> object:
    if field not in Settings.__struct_fields__:
        raise TuningError(f"unknown setting {field!r}", "`invoke config` lists the settings")
    hint = get_type_hints(Settings, include_extras=True)[field]
    try:
        return msgspec.convert(value, hint, strict=False, dec_hook=lambda kind, raw: kind(raw))
    except (msgspec.ValidationError, TypeError) as error:
        shown = "the given value" if _is_secret(field) else repr(value)
        raise TuningError(f"{where}: {shown} does not fit ({error})", "`invoke config` explains each setting") from None

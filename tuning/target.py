"""Decide what the setting `target` and the endpoints mean. Only this module reads `target`; all others ask its Target.

An endpoint setting replaces one of Google's servers, also on target local. So the answers are separate.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, get_args

import msgspec

from tuning.errors import TuningError
from tuning.settings import Settings, TargetName, variable

TARGETS: tuple[TargetName, ...] = get_args(TargetName)


class Target(Protocol):
    """Say where a command keeps objects, runs SQL and runs pipelines, and check what Google needs."""

    name: ClassVar[TargetName]
    uses_google: ClassVar[bool]  # the work is done in a Google Cloud project, which pays for it
    has_own_bigquery: ClassVar[bool]  # the home has its own BigQuery server, which starts on demand

    @property
    def has_bucket(self) -> bool:
        """Return whether ``gs://`` addresses are objects on a server. If not, they are files under TUNING_HOME."""

    @property
    def reports_bytes(self) -> bool:
        """Return whether BigQuery reports how many bytes a query reads."""

    @property
    def on_vertex(self) -> bool:
        """Return whether pipelines run on Vertex AI or on the server that TUNING_VERTEX_ENDPOINT names."""

    def require_google(self, command: str = "this command", remedy: str = "Add --target gcp", /) -> None:
        """Raise TuningError, with the command's name, if it has no Google Cloud project to work in."""

    def require_vertex(self) -> None:
        """Raise TuningError if pipelines run on this machine, or as `require_project` does."""

    def require_project(self) -> None:
        """Raise TuningError if the project or the bucket must be the user's own, but is still the local default."""


@dataclass(frozen=True)
class Local:
    """Work on this machine, without an account."""

    settings: Settings
    name: ClassVar[TargetName] = "local"
    uses_google: ClassVar[bool] = False
    has_own_bigquery: ClassVar[bool] = True
    reports_bytes: ClassVar[bool] = False

    @property
    def has_bucket(self) -> bool:
        """Return whether TUNING_STORAGE_ENDPOINT names a server for objects."""
        return bool(self.settings.storage_endpoint)

    @property
    def on_vertex(self) -> bool:
        """Return whether TUNING_VERTEX_ENDPOINT names a server for pipelines."""
        return bool(self.settings.vertex_endpoint)

    def require_google(self, command: str = "this command", remedy: str = "Add --target gcp", /) -> None:
        """Raise TuningError."""
        raise TuningError(f"{command} needs a Google Cloud project, and the target is local", remedy)

    def require_vertex(self) -> None:
        """Raise TuningError unless TUNING_VERTEX_ENDPOINT is set."""
        if not self.on_vertex:
            raise TuningError("this command needs Vertex AI, and the target is local", "Add --target gcp")

    def require_project(self) -> None:
        """Do nothing, because the project is only a name."""


@dataclass(frozen=True)
class Gcp:
    """Work in a Google Cloud project: BigQuery, Cloud Storage and Vertex AI."""

    settings: Settings
    name: ClassVar[TargetName] = "gcp"
    uses_google: ClassVar[bool] = True
    has_own_bigquery: ClassVar[bool] = False
    has_bucket: ClassVar[bool] = True
    on_vertex: ClassVar[bool] = True

    @property
    def reports_bytes(self) -> bool:
        """Return whether BigQuery is Google's, and not the server that TUNING_BIGQUERY_ENDPOINT names."""
        return not self.settings.bigquery_endpoint

    def require_google(self, _command: str = "", _remedy: str = "", /) -> None:
        """Raise TuningError if the project or the bucket is still the default, as `require_project` does."""
        self.require_project()

    def require_vertex(self) -> None:
        """Raise TuningError if the project or the bucket is still the default, as `require_project` does."""
        self.require_project()

    def require_project(self) -> None:
        """Raise TuningError if the project or the bucket is still the local default.

        If TUNING_VERTEX_ENDPOINT is set, nothing is checked.
        """
        default = Settings()
        needed = () if self.settings.vertex_endpoint else ("project", "bucket")
        if missing := [name for name in needed if getattr(self.settings, name) == getattr(default, name)]:
            values = " and ".join(repr(getattr(default, name)) for name in missing)
            only = "is only the default" if len(missing) == 1 else "are only the defaults"
            raise TuningError(
                f"target gcp needs your own {' and '.join(missing)}; {values} {only} of target local",
                f"Set {' and '.join(map(variable, missing))}",
            )


def find_target(settings: Settings) -> Target:
    """Return the target that the settings name."""
    return Local(settings) if settings.target == Local.name else Gcp(settings)


def command_in_words(settings: Settings, command: str) -> str:
    """Return a command as a message names it, such as ``promote v1``: with the target if it is not the default."""
    target = find_target(settings).name
    return f"`invoke {command}{'' if target == Settings().target else f' --target {target}'}`"


def at_home(settings: Settings) -> Settings:
    """Return settings with which objects are files under TUNING_HOME, whatever the target is."""
    return msgspec.structs.replace(settings, target=Local.name, storage_endpoint="")

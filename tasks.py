"""The command line: `invoke --list` shows every task, `invoke --help TASK` its options."""

from invoke.collection import Collection
from invoke.context import Context

from tuning.command import command
from tuning.settings import Settings, describe, load_settings

namespace = Collection()


@command
def config(c: Context, settings: Settings) -> None:
    """Print the effective settings and where each came from.

    Example: TUNING_HOME=/data/tuning invoke config --target gcp
    """
    for name, value, origin, description in describe(
        {"target": settings.target if settings != load_settings() else None}
    ):
        print(f"{name:22} {value or '-':40} {origin:24} {description}")


namespace.add_task(config)

"""Connect dbt to this package: dbt loads every module whose name begins with ``dbt_`` and that has a list `plugins`."""

import sys

import click
from dbt.plugins.manager import dbtPlugin


class Connection(dbtPlugin):
    """Let dbt notice that the local BigQuery does not run, or has ended and must be started again.

    dbt loads no plugin for ``dbt debug``.
    """

    def initialize(self) -> None:
        """Replace dbt's BigQuery client if dbt runs this project.

        Raises DbtRuntimeError if the command needs a local BigQuery and none runs, before dbt reads the project.
        """
        if self.project_name != "python_qa":
            return
        from dbt.flags import get_flags

        from tuning.settings import hide_secrets, load_settings
        from tuning.target import TARGETS
        from tuning.warehouse.dbt_client import ALWAYS_CONNECT, install, require_server

        flags = get_flags()  # type: ignore[no-untyped-call]
        target = getattr(flags, "TARGET", None)
        hide_secrets()
        settings = load_settings({"target": target if target in TARGETS else None})
        install(settings, lambda line: print(line, file=sys.stderr, flush=True))
        context = click.get_current_context(silent=True)
        if context is not None and getattr(flags, "WHICH", None) in ALWAYS_CONNECT:
            require_server(settings, context.obj["profile"].credentials.api_endpoint or "")


plugins = [Connection]

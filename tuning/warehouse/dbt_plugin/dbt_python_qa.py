"""Connect dbt to this package: dbt loads every module whose name begins with ``dbt_`` and that has a list `plugins`."""

import sys

from dbt.plugins.manager import dbtPlugin


class Connection(dbtPlugin):
    """Let dbt notice that the local BigQuery has ended, and start it again, as this project's own commands do."""

    def initialize(self) -> None:
        """Replace dbt's BigQuery client if dbt runs this project."""
        if self.project_name != "python_qa":
            return
        from dbt.flags import get_flags

        from tuning.settings import hide_secrets, load_settings
        from tuning.warehouse.dbt_client import install

        target = getattr(get_flags(), "TARGET", None)  # type: ignore[no-untyped-call]
        hide_secrets()
        settings = load_settings({"target": target if target in ("local", "gcp") else None})
        install(settings, lambda line: print(line, file=sys.stderr, flush=True))


plugins = [Connection]

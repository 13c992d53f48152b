"""Define the one-row table `origin`: the source of the raw data, from which URLs and notices are built."""

from typing import Literal

import msgspec

from tuning.settings import Settings

# The licence of the posts' text. Its version depends on each post's date.
CC_BY_SA = ("CC BY-SA", "https://creativecommons.org/licenses/by-sa/4.0/")
APACHE = ("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the loaded data.

    `source` is a file name without its folder. `digest` is the SHA-256 of the content. `exclude_user` has the IDs of
    the users whose posts the builds leave out, separated by commas.
    """

    site: str
    kind: Literal["stack_exchange", "synthetic"]
    name: str
    base_url: str
    license: str
    license_url: str
    source: str
    tag_filter: str
    digest: str
    questions: int
    answers: int
    exclude_user: str = ""


def table_id(settings: Settings, table: str) -> str:
    """Return the full name of a raw table, ``project.dataset.table``."""
    return f"{settings.raw_database}.{settings.raw_schema}.{table}"

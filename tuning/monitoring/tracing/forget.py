"""Put a post on the deny list, and say what must be made again without it."""

from datetime import UTC, datetime

import msgspec

from tuning.dataset.denied import Denied, deny, shown_list
from tuning.errors import TuningError
from tuning.monitoring.tracing.post import Post
from tuning.monitoring.tracing.trace import Trace, trace
from tuning.settings import Settings
from tuning.visible import visible


def forget(settings: Settings, post: Post, reason: str) -> list[str]:
    """Deny the post, and return where it is and what must be made again, as lines for a terminal.

    The post is on the list before the search begins, so a killed command has not forgotten to forget. Raises
    TuningError if there is no reason, or if the list is damaged.
    """
    reason = visible(" ".join(reason.split()))
    if not reason:
        raise TuningError("forget needs --reason, which is recorded", 'Write --reason "the author asked"')
    entry = Denied(post_id=post.id, site=post.site, reason=reason, at=datetime.now(UTC).isoformat(timespec="seconds"))
    deny(settings, entry)
    found = trace(settings, post)
    deny(settings, msgspec.structs.replace(entry, datasets=sorted(found.datasets)))
    listed = f"{post} is on the deny list {shown_list(settings)}: {reason}. To undo it, delete its entry there"
    doubt = [] if found.lines else ["it was found nowhere: is the number right?"]
    return [*found.in_lines(), listed, *doubt, *_to_do(found)]


def _to_do(found: Trace) -> list[str]:
    lines = [f"make again: dataset {one}, {address}" for one, address in sorted(found.datasets.items())]
    lines += [f"make again: run {one}" for one in found.runs]
    lines += [f"make again: model {one}{' (champion)' if one == found.champion else ''}" for one in found.versions]
    if found.champion:
        lines.append(
            f"the champion {found.champion} was tuned on it: `invoke models` says so until another one replaces it. "
            "Run `invoke tune` or `invoke refresh` with the options of before"
        )
    lines.append(
        f"the next dataset leaves it out. To take it out of the marts too, write {found.post.id} into "
        "dbt_project/seeds/denied_posts.csv and run `invoke build`"
    )
    if any("near copy" in line for line in found.lines):
        lines.append("near copies are other posts: forget each one by its own id if it has the text")
    return lines

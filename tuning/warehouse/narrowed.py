"""Whether a build may want questions that were never loaded, since `invoke ingest --tag` had narrowed the source."""

import re

_IN_BRACKETS = re.compile(r"\\.|\[[^\]]*\]|\([^()]*\)")


def may_want_more(tag_pattern: str, tag_filter: str) -> bool:
    """False only where every tag that matches `tag_pattern` contains `tag_filter`, as far as its plain text shows.

    Text inside groups and sets, and a pattern with alternatives, prove nothing: then it may.
    """
    if not tag_filter:
        return False
    plain = tag_pattern
    while (shorter := _IN_BRACKETS.sub("\n", plain)) != plain:
        plain = shorter
    # A sign before ?, * or {0} may be absent.
    certain = re.sub(r".(?:[?*]|\{)", "\n", plain)
    return "|" in plain or tag_filter not in certain.lower()

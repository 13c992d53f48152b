"""Versions of what shapes a dataset's bytes: part of its ID."""

import functools
import unicodedata
from importlib.metadata import version

_LIBRARIES = (
    "html-to-markdown",  # the Markdown
    "lxml",  # the Markdown of what the former cannot carry
    "markdown-it-py",  # the card
    "numpy",  # scikit-learn's permutations are numpy's
    "orjson",  # the JSON
    "polars",  # the seed preset's JSON
    "pyromark",  # which conversion passes its check
    "rensa",  # which near duplicates are found
    "scikit-learn",  # split random
)


@functools.cache
def versions() -> dict[str, str]:
    """Unicode's version decides what a word is; Python itself leaves no trace."""
    return {**{library: version(library) for library in _LIBRARIES}, "unicode": unicodedata.unidata_version}

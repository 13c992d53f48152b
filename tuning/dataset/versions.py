"""Collect the versions of the libraries that affect a dataset's bytes. They are part of its ID."""

import functools
import unicodedata
from importlib.metadata import version

_LIBRARIES = (
    "html-to-markdown",  # the Markdown
    "lxml",  # the Markdown that html-to-markdown cannot write
    "markdown-it-py",  # the card
    "numpy",  # scikit-learn shuffles with numpy
    "orjson",  # the JSON
    "polars",  # the seed preset's JSON
    "pyromark",  # the check of each conversion
    "rensa",  # the search for near-duplicates
    "scikit-learn",  # split random
)


@functools.cache
def versions() -> dict[str, str]:
    """Return the version of each library and of Unicode, which defines what a word is.

    The version of Python itself does not affect the bytes.
    """
    return {**{library: version(library) for library in _LIBRARIES}, "unicode": unicodedata.unidata_version}

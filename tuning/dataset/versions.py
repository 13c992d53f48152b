"""Collect the versions of the libraries that affect a dataset's bytes. They are part of its ID."""

import functools
import unicodedata
from importlib.metadata import version

_LIBRARIES = (
    "html-to-markdown",  # the Markdown
    "lxml",  # the Markdown of bodies that html-to-markdown converts wrongly
    "markdown-it-py",  # the HTML of the card's examples
    "numpy",  # the random order of split random and of the seed preset
    "orjson",  # the JSON
    "polars",  # the seed preset's JSON
    "pyromark",  # the rendering of Markdown that checks each conversion
    "rensa",  # the search for near-duplicates
    "scikit-learn",  # split random
)


@functools.cache
def versions(*, with_tokenizer: bool, with_parquet: bool = False) -> dict[str, str]:
    """Return the version of each library and of Unicode, which defines what a word is.

    `with_tokenizer` adds the library that counts tokens, and `with_parquet` the one that writes Parquet. The version of
    Python itself does not affect the bytes.
    """
    libraries = [*_LIBRARIES, *(["tokenizers"] if with_tokenizer else []), *(["pyarrow"] if with_parquet else [])]
    return {**{library: version(library) for library in libraries}, "unicode": unicodedata.unidata_version}

"""Parse a statement once: bqemulator and our corrections parse the same text about 25 times, each for itself."""

import functools
from collections.abc import Callable
from typing import Any

_KEPT = 64  # texts; one statement and what it becomes on its way to DuckDB are about ten
_LONGEST = 100_000  # characters; the tree of a text is some hundred times its size

Parse = Callable[..., list[Any]]


def remembering(parse: Parse) -> Parse:
    """Return `parse`, sqlglot's method of a dialect, but with the newest trees kept. Each call gets its own copy."""

    @functools.lru_cache(maxsize=_KEPT)
    def kept(sql: str, dialect: Any, _facts: str, options: tuple[tuple[str, Any], ...]) -> list[Any]:
        return parse(dialect, sql, **dict(options))

    def parse_once(dialect: Any, sql: str, **options: Any) -> list[Any]:
        if len(sql) > _LONGEST:
            return parse(dialect, sql, **options)
        facts = str(vars(dialect))  # all dialects of one class are equal, whatever their settings
        given = tuple(sorted((name, value) for name, value in options.items() if value is not None))
        return [tree and tree.copy() for tree in kept(sql, dialect, facts, given)]

    return parse_once

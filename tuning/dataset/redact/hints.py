"""Find the words that mark secrets in a text, once for all searches. Most texts have none, and are done quickly."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

Hints = AbstractSet[str]

# Words that mark passwords and keys. Each search runs only in texts with one of its words, in lower case.
OF_PASSWORDS = ("pass", "pw", "secret", "token", "key", "sessionid", "auth", "login", "cred", "connect", "ftp")
OF_PATHS = ("/home", "users", "documents and settings")


def hints_in(lower: str) -> Hints:
    """Return the words of the lists that a text contains. `lower` is the text in lower case."""
    return {word for word in _ALL if word in lower}


def starts(lower: str, word: str) -> Iterator[int]:
    """Yield the places of a word."""
    place = lower.find(word)
    while place >= 0:
        yield place
        place = lower.find(word, place + len(word))


_ALL = (*OF_PASSWORDS, *OF_PATHS)

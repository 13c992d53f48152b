"""Count the requests and answers that the stand-ins found valid, in all processes of a run of the tests.

Nothing but the standard library is imported here, because every run of the tests imports it.
"""

LEAST = 5_000  # in a run of all cloud tests
counts: list[int] = []  # of each server of this process that has stopped, and of each other process that has ended


def line() -> str:
    return f"{sum(counts):,} requests to and answers of Vertex AI and Google's smaller APIs fit the discovery documents"


def shortfall(is_all: bool) -> str:
    """What is wrong with the count of a run, or ''. `is_all`: no cloud test was left out by a name or an option."""
    return f"these are fewer than {LEAST:,}" if is_all and sum(counts) < LEAST else ""

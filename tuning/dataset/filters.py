"""Which pairs make no training example, and why."""

import re
from enum import StrEnum

# What JSONL, tokenizers and terminals all bear: white space and no other control character. A tab, a line feed and a
# carriage return are text.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class Reason(StrEnum):
    """Why a pair is left out. The names stand in manifests: they are never renamed."""

    UNFAITHFUL = "unfaithful conversion"
    CONTROL_CHARACTERS = "control characters"
    EMPTY_QUESTION = "question empty or nearly"
    EMPTY_ANSWER = "answer empty or nearly"
    LINK_ONLY = "answer only a link"
    TOO_LONG = "over the token limit"
    NEVER_TRAINS = "answer beyond the training length"


def has_control_characters(text: str) -> bool:
    return _CONTROL.search(text) is not None

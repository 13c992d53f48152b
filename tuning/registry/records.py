"""Define the records of the registry: model versions and events."""

from datetime import datetime
from typing import Literal

import msgspec

from tuning.dataset.formats.codec import Body
from tuning.dataset.formats.records import Format
from tuning.evaluation.records import Interval, Verdict

Action = Literal["began", "registered", "judged again", "promoted", "promoted by force", "rolled back"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Represent a tuned and judged model that has no version yet."""

    created_at: str  # ISO 8601, UTC
    training_key: str  # a hash of the data, options and code; no two versions have the same key
    tuner: str
    base_model: str
    options: dict[str, object]
    dataset_id: str
    dataset_sha256: str
    template: str  # template, format and body define the wording of prompts
    format: Format
    body: Body
    contents_sha256: str
    metrics: dict[str, float]
    # The metrics of the answers to the how-to questions, or, where none were asked, to held-out questions. Empty for
    # versions that an earlier version of the project made.
    answer_metrics: dict[str, Interval] = {}
    verdict: Verdict
    run_id: str

    def __post_init__(self) -> None:
        """Raise ValueError for a time that is none; msgspec then reports the record as damaged."""
        datetime.fromisoformat(self.created_at)


class Version(Candidate, frozen=True, kw_only=True):
    """Represent one version of a model. Its files are in the folder `model`, next to this record."""

    name: str  # v1, v2, …
    files: dict[str, str] = {}  # the SHA-256 of each; empty for versions that an earlier version of the project made


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Represent one line of the journal. `champion` is the champion after the event."""

    at: str
    action: Action
    version: str  # empty in the line with which a journal begins
    champion: str | None
    reason: str = ""
    record: str = ""  # file name of the version's record from now on; empty: it does not change
    training_key: str = ""  # of a registered version
    id: str = ""  # random; empty in events that an earlier version of the project wrote

"""What the registry keeps of a model version, and of what was done with it."""

from typing import Literal

import msgspec

from tuning.dataset.formats.codec import Body
from tuning.dataset.formats.records import Format
from tuning.evaluation.records import Verdict

Action = Literal["registered", "judged again", "promoted", "promoted by force", "rolled back"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One model. Its files lie in `model/` beside this record."""

    name: str  # v1, v2, …
    created_at: str  # ISO 8601, UTC
    training_key: str  # the same data, options and code: the same model
    tuner: str
    base_model: str
    options: dict[str, object]
    dataset_id: str
    dataset_sha256: str
    template: str  # these three word a question as the training rows are worded
    format: Format
    body: Body
    contents_sha256: str
    metrics: dict[str, float]
    verdict: Verdict
    run_id: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal. `champion` is who was champion after it."""

    at: str
    action: Action
    version: str
    champion: str | None
    reason: str = ""

"""The lines of attribution.jsonl keep their order of fields, whatever the order in the exposure."""

import msgspec
import orjson
import pyarrow as pa
import pytest

from tests.marts import INSTRUCTIONS, PREFERENCES, preference_row, roles, row
from tuning.dataset.arrow import joined
from tuning.dataset.dataset import Attribution
from tuning.dataset.snapshot.columns import attribution_heads
from tuning.dataset.snapshot.snapshot import Kind


@pytest.mark.parametrize(
    ("kind", "schema", "one"), [("instructions", INSTRUCTIONS, row(1)), ("preferences", PREFERENCES, preference_row(1))]
)
def test_fields_are_in_the_order_of_the_struct(kind: Kind, schema: pa.Schema, one: dict[str, object]) -> None:
    shuffled = msgspec.structs.replace(roles(kind), attribution=dict(sorted(roles(kind).attribution.items())))
    batch = pa.RecordBatch.from_pylist([one], schema=schema)
    (line,) = joined(*attribution_heads(shuffled, batch), "[]}").to_pylist()
    fields = list(orjson.loads(b"{" + line))
    order = [name for name in Attribution.__struct_fields__ if name in fields]
    assert fields == order
    assert len(fields) == len(shuffled.attribution) + 1  # and `changes`
    text = "{" + line.decode()
    assert text.index("question_license_url") < text.index("answer_score")

"""Show values of NUMERIC as BigQuery does: at most nine decimals, and no zeros at the end."""

import decimal
from typing import Any

import pyarrow as pa

_UNIT = decimal.Decimal("1e-9")


def numeric_text(value: decimal.Decimal, *_: Any) -> str:
    """Return the text of a NUMERIC."""
    with decimal.localcontext(prec=80):
        text = f"{value.quantize(_UNIT, rounding=decimal.ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".")


FORMATTER = (pa.types.is_decimal, numeric_text)
TYPE = (pa.types.is_decimal, "NUMERIC")

"""Between Arrow's arrays, numpy's and bytes, without what imports pandas: ``pa.array``, ``pa.scalar``, ``to_numpy``.

That is 40 MB and a fifth of a second in every worker.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def integers(column: pa.Array) -> npt.NDArray[np.int64]:
    return np.array(np.from_dlpack(column), dtype=np.int64)


def as_indices(numbers: npt.NDArray[np.int64]) -> pa.Int64Array:
    content = pa.py_buffer(np.ascontiguousarray(numbers, dtype=np.int64))
    return pa.Int64Array.from_buffers(pa.int64(), len(numbers), [None, content])


def divided(content: pa.Buffer, borders: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    """What lies between each border and the next."""
    offsets = pa.py_buffer(np.ascontiguousarray(borders, dtype=np.int64))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(borders) - 1, [None, offsets, content])


def as_array(values: Sequence[bytes]) -> pa.LargeBinaryArray:
    return divided(pa.py_buffer(b"".join(values)), np.cumsum([0, *map(len, values)]))


def constant(text: str) -> pa.Scalar:
    return as_array([text.encode()])[0]


def joined(*pieces: pa.Array | str) -> pa.LargeBinaryArray:
    """One value for each row: its values and the texts between them, one after another."""
    arrays = (constant(one) if isinstance(one, str) else one.cast(pa.large_binary()) for one in pieces)
    return pc.binary_join_element_wise(*arrays, constant(""))


def content_of(values: pa.LargeBinaryArray) -> pa.Buffer:
    """The values one after another, without a copy."""
    _, offsets, content = values.buffers()
    borders = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return content[int(borders[0]) : int(borders[-1])]

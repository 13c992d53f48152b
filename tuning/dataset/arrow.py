"""Convert between Arrow arrays, numpy arrays, and bytes without importing pandas.

This module does not call ``pa.array``, ``pa.scalar``, or ``to_numpy``, because they import pandas. The import takes
40 MB and 0.2 seconds in every worker.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def integers(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return an integer column as a new numpy array. The column must not contain nulls."""
    return np.array(np.from_dlpack(column), dtype=np.int64)


def as_indices(numbers: npt.NDArray[np.int64]) -> pa.Int64Array:
    """Return the row numbers as an Arrow array, which ``take`` accepts."""
    content = pa.py_buffer(np.ascontiguousarray(numbers, dtype=np.int64))
    return pa.Int64Array.from_buffers(pa.int64(), len(numbers), [None, content])


def divided(content: pa.Buffer, borders: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    """Split the content at the borders: value i contains the bytes from ``borders[i]`` to ``borders[i + 1]``."""
    offsets = pa.py_buffer(np.ascontiguousarray(borders, dtype=np.int64))
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(borders) - 1, [None, offsets, content])


def as_array(values: Sequence[bytes]) -> pa.LargeBinaryArray:
    """Return the values as an Arrow array."""
    return divided(pa.py_buffer(b"".join(values)), np.cumsum([0, *map(len, values)]))


def constant(text: str) -> pa.Scalar:
    """Return the text as an Arrow scalar of UTF-8 bytes."""
    return as_array([text.encode()])[0]


def joined(*pieces: pa.Array | str) -> pa.LargeBinaryArray:
    """Concatenate the pieces row by row, and return one value for each row. A string is the same in every row."""
    arrays = (constant(one) if isinstance(one, str) else one.cast(pa.large_binary()) for one in pieces)
    return pc.binary_join_element_wise(*arrays, constant(""))


def content_of(values: pa.LargeBinaryArray) -> pa.Buffer:
    """Return the concatenated values without copying them."""
    _, offsets, content = values.buffers()
    borders = np.frombuffer(offsets, np.int64)[values.offset : values.offset + len(values) + 1]
    return content[int(borders[0]) : int(borders[-1])]

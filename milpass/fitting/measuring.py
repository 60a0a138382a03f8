"""How well any encoding meets its weight."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels
from milpass.encodings import Dense, Encoding, Lut
from milpass.fitting.fitted import Quality
from milpass.fitting.rows import floats, widened
from milpass.paging import let_go

# Elements that are compared at a time; of a table's more, as they take less room: a multiple of 8, so that
# indices of a part are whole bytes.
PART = 1 << 18
INDEXED = 1 << 20


def measured(
    array: NDArray[Any], encoding: Encoding, importance: NDArray[np.float64] | None = None
) -> Quality:
    """Compare a weight (fp16 or fp32) with what its readers will see, element by element, in float64."""
    if importance is not None:
        return _weighed(array.reshape(-1), encoding.decode().reshape(-1), importance.reshape(-1))
    if not _is_one_table(encoding):
        sums = _compared_rows(array, encoding)
        return Quality(float(sums[0]), sqrt(sums[1]), float(sums[2]))
    squared, greatest = _errors_of_table(array, encoding)
    flat = array.reshape(-1)
    signal = sum(float(np.square(flat[part], dtype=np.float64).sum()) for part in _parts(flat.size, PART))
    return Quality(squared, greatest, signal)


def errors(array: NDArray[Any], encoding: Encoding) -> tuple[float, float]:
    """The squared error and the greatest one of what is `measured`, which takes longer."""
    if _is_one_table(encoding):
        return _errors_of_table(array, encoding)
    squared, greatest, _ = _compared_rows(array, encoding)
    return float(squared), sqrt(greatest)


def _compared_rows(array: NDArray[Any], encoding: Encoding) -> NDArray[np.float64]:
    """Compare values with decoded ones, so many rows at a time."""
    length, sums = array.shape[0], np.zeros(3)
    fitting = PART // max(array.size // length, 1)
    height = max(fitting // encoding.step, 1) * encoding.step
    for start in range(0, length, height):
        rows = slice(start, min(start + height, length))
        values, part = array[rows], encoding.rows(rows.start, rows.stop)
        one, other = (widened(np.ascontiguousarray(each).reshape(-1)) for each in (values, part.decode()))
        kernels.errors.compare(one, other, sums)
        let_go(array, values)
        let_go(encoding.end, part.end)
    return sums


def _parts(size: int, length: int) -> Iterator[slice]:
    return (slice(at, min(at + length, size)) for at in range(0, size, length))


def _is_one_table(encoding: Encoding) -> bool:
    """Whether it is one table of scalars for a whole weight."""
    if not isinstance(encoding, Lut) or not isinstance(encoding.inner, Dense):
        return False
    return encoding.vector_axis is None and set(encoding.inner.shape[:-2]) <= {1}


def _errors_of_table(array: NDArray[Any], encoding: Any) -> tuple[float, float]:
    """Compare values with entries, part by part, so that nothing as large as the weight is made."""
    flat, sums = np.ascontiguousarray(array).reshape(-1), np.zeros(3)
    entries = encoding.inner.decode().reshape(-1).astype(np.float32)
    for part in _parts(flat.size, INDEXED):
        values, indices = flat[part], encoding.indices.part(part.start, part.stop)
        if values.dtype == np.float16:
            kernels.errors.compare_indexed(values.view(np.uint16), floats(), indices, entries, sums)
        else:
            kernels.errors.compare(values.astype(np.float32, copy=False), entries[indices], sums)
        let_go(flat, values)
    return float(sums[0]), sqrt(sums[1])


def _weighed(values: NDArray[Any], seen: NDArray[Any], costs: NDArray[np.float64]) -> Quality:
    """The same, by the importance of elements."""
    return Quality.total([_part(values[part], seen[part], costs[part]) for part in _parts(values.size, PART)])


def _part(values: NDArray[Any], seen: NDArray[Any], costs: NDArray[np.float64]) -> Quality:
    wide = values.astype(np.float64)
    errors = np.abs(wide - seen)
    return Quality(
        float((costs * np.square(errors)).sum()),
        float(errors.max()),
        float((costs * np.square(wide)).sum()),
    )

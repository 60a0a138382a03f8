"""Arrays that are views of mapped files: what has been read is let go of.

Pages of a mapped file count as a process' own memory for as long as it has them; given back, they are read
again from the file, mostly from the system's memory, when they are wanted.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import Any

from numpy import dtype, empty, frombuffer, ndarray
from numpy.typing import NDArray

# Bytes from which on an array is not kept mapped whole.
LARGE = 1 << 26


def scratch(size: int, dtype: dtype[Any]) -> NDArray[Any]:
    """A new flat array for what is made of a weight; a large one lies in a file that nobody else sees.

    So it can be let go of in parts; where there is no room for the file, it lies in memory.
    """
    nbytes = size * dtype.itemsize
    if nbytes < LARGE:
        return empty(size, dtype)
    from tempfile import TemporaryFile  # few runs need it, and it brings much with it

    try:
        with TemporaryFile(prefix="milpass-") as file:
            os.posix_fallocate(file.fileno(), 0, nbytes)
            return frombuffer(mmap.mmap(file.fileno(), nbytes), dtype)
    except (OSError, AttributeError):
        return empty(size, dtype)


def in_parts(flat: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """Views of `size` elements of a flat array in turn; of a large one each is let go of before the next."""
    for start in range(0, flat.shape[0], size):
        part = flat[start : start + size]
        yield part
        let_go(flat, part)


def let_go(array: NDArray[Any], part: NDArray[Any]) -> None:
    """Let go of a part of an array, if that is large."""
    if array.nbytes >= LARGE:
        release(part)


def release(part: NDArray[Any]) -> None:
    """Let go of the whole pages under a contiguous view of a mapped file; of any other array, of nothing."""
    owner = part
    while isinstance(owner.base, ndarray):
        owner = owner.base
    mapped = getattr(owner.base, "obj", None)
    if not isinstance(mapped, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    first = part.ctypes.data - owner.ctypes.data
    start, end = (at // mmap.PAGESIZE * mmap.PAGESIZE for at in (first, first + part.nbytes))
    if end > start:
        mapped.madvise(mmap.MADV_DONTNEED, start, end - start)

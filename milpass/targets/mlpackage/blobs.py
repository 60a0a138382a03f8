"""Weight files (`weight.bin`): mapped for reading, written in one go.

Layout, little endian: a header of 64 bytes (number of blobs, version 2); then for each blob 64 bytes of
metadata (sentinel, type, bytes, offset of the data, bits of padding for types narrower than a byte) and its
data, both on multiples of 64.  Source: MILBlob in coremltools' `mlmodel/src`.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from milpass.errors import ModelError

ALIGNMENT = 64
SENTINEL = 0xDEADBEEF
VERSION = 2
# Bytes of a mapped file that are let go of at once.
RELEASED = 1 << 22
_HEADER = struct.Struct("<II56x")
_METADATA = struct.Struct("<IIQQQ32x")


class Blob(NamedTuple):
    """One stored value: type code, padding in bits, its bytes as they lie in the mapped file, their end."""

    code: int
    padding: int
    data: NDArray[np.uint8]
    end: int


class BlobFile:
    """A weight file opened for reading; blobs are views of the mapped file."""

    def __init__(self, path: Path, shown: str) -> None:
        self._shown = shown
        try:
            with open(path, "rb") as file:
                self._size = os.fstat(file.fileno()).st_size
                self._bytes = self._map(file.fileno())
        except OSError as error:
            raise self._unreadable(str(error.strerror or error)) from None

    def _map(self, descriptor: int) -> NDArray[np.uint8]:
        if self._size < _HEADER.size:
            raise self._unreadable(f"{self._size} bytes")
        mapped = self._mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        self._released = 0
        if hasattr(mmap, "MADV_SEQUENTIAL"):
            mapped.madvise(mmap.MADV_SEQUENTIAL)
        _, version = _HEADER.unpack_from(mapped)
        if version != VERSION:
            raise self._unreadable(f"version {version}")
        return np.frombuffer(mapped, np.uint8)

    def _unreadable(self, got: str) -> ModelError:
        return ModelError(
            self._shown,
            who="milpass",
            cannot="read the weight file",
            got=got,
            needs=f"a whole weight file of version {VERSION}",
        )

    def blob(self, offset: int) -> Blob:
        """The blob whose metadata stand at `offset`; raises `ModelError` where none does."""
        if offset < _HEADER.size or offset + _METADATA.size > self._size:
            raise self._unreadable(f"a reference to offset {offset} in {self._size} bytes")
        described = self._bytes[offset : offset + _METADATA.size].tobytes()
        sentinel, code, nbytes, start, padding = _METADATA.unpack(described)
        if sentinel != SENTINEL:
            raise self._unreadable(f"no blob at offset {offset}")
        if start < offset + _METADATA.size or start % ALIGNMENT or start + nbytes > self._size:
            raise self._unreadable(f"a blob of {nbytes} bytes at {start} in {self._size} bytes")
        return Blob(code, padding, self._bytes[start : start + nbytes], start + nbytes)

    def check(self, offsets: Iterable[int]) -> None:
        """Refuse blobs of which one begins before another ends: copied, they would take more room."""
        end = 0
        for offset in sorted(offsets):
            if offset < end:
                raise self._unreadable(f"a blob at offset {offset} that begins inside another one")
            end = self.blob(offset).end

    def release_before(self, offset: int) -> None:
        """Let go of the pages up to an offset; what is read there again is read from the disk.

        Pages of a mapped file count as the process' own memory for as long as it has them.
        """
        end = offset // mmap.PAGESIZE * mmap.PAGESIZE
        if end - self._released >= RELEASED and hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED, self._released, end - self._released)
            self._released = end


class BlobWriter:
    """A weight file being written, blob by blob."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb", buffering=1 << 20)  # noqa: SIM115 (closed by __exit__)
        self._file.write(bytes(_HEADER.size))
        self._end = _HEADER.size
        self._count = 0

    def append(self, code: int, nbytes: int, pieces: Iterable[NDArray[Any]], padding: int = 0) -> int:
        """Write a blob of so many bytes and give the offset of its metadata."""
        self._pad()
        offset = self._end
        start = offset + _METADATA.size
        self._file.write(_METADATA.pack(SENTINEL, code, nbytes, start, padding))
        for piece in pieces:
            self._file.write(np.ascontiguousarray(piece).data.cast("B"))
        self._end = start + nbytes
        self._count += 1
        return offset

    def _pad(self) -> None:
        missing = -self._end % ALIGNMENT
        self._file.write(bytes(missing))
        self._end += missing

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                self._file.write(_HEADER.pack(self._count, VERSION))
        finally:
            self._file.close()  # on a full disk, too: an open file would keep what room there was

"""Findings as bytes, which nothing but numbers can be read from.

16 bytes   what kind of bytes these are (`MAGIC`)
32 bytes   BLAKE2b of all that follows
32 bytes   the key of the fit that they belong to (`milpass.findings.keys`)
 4 bytes   the length of the description, little endian
           the description, JSON: for each finding its quality, and type and shape of each array
           the arrays, row by row, little endian
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import prod
from typing import Any

import numpy as np
from attrs import asdict
from numpy.typing import NDArray

from milpass.fitting.finding import Finding
from milpass.fitting.fitted import Quality

MAGIC = b"milpass fit 1\n\0\0"
DIGEST = 32
_LENGTH = struct.Struct("<I")
TYPES = ("<f2", "<f4", "<f8", "|i1", "|u1", "<i4")
# Axes of the largest array that there is: those of a weight and two.
MAX_RANK = 32


class Damaged(ValueError):
    """Bytes that are no findings, or not those that are wanted."""


class Foreign(Damaged):
    """Findings that are whole, but another fit's."""


def digest(*parts: bytes) -> bytes:
    """BLAKE2b of bytes, 32 bytes."""
    return blake2b(b"".join(parts), digest_size=DIGEST).digest()


def to_octets(key: bytes, findings: Sequence[Finding]) -> bytes:
    """The findings of the fit that has this key."""
    described = [
        {
            "quality": asdict(finding.quality),
            "arrays": [[array.dtype.str, list(array.shape)] for array in finding.parameters],
        }
        for finding in findings
    ]
    text = json.dumps(described, separators=(",", ":")).encode()
    arrays = [array.tobytes() for finding in findings for array in finding.parameters]
    body = b"".join((key, _LENGTH.pack(len(text)), text, *arrays))
    return MAGIC + digest(body) + body


def from_octets(octets: bytes, key: bytes) -> tuple[Finding, ...]:
    """The findings; raises `Damaged` for bytes that are none, or another fit's."""
    body = octets[len(MAGIC) + DIGEST :]
    if octets[: len(MAGIC)] != MAGIC or octets[len(MAGIC) :][:DIGEST] != digest(body):
        raise Damaged("not whole")
    if body[:DIGEST] != key:
        raise Foreign("of another fit")
    try:
        return tuple(_findings(body[DIGEST:]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from None


def _findings(body: bytes) -> Iterator[Finding]:
    (length,) = _LENGTH.unpack_from(body)
    at = _LENGTH.size + length
    for described in json.loads(body[_LENGTH.size : at]):
        arrays = []
        for dtype, shape in described["arrays"]:
            array = _array(body, at, dtype, tuple(shape))
            arrays.append(array)
            at += array.nbytes
        yield Finding(tuple(arrays), _quality(described["quality"]))
    if at != len(body):
        raise Damaged("more bytes than described")


def _array(body: bytes, at: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype not in TYPES or len(shape) > MAX_RANK or any(type(n) is not int or n < 0 for n in shape):
        raise Damaged(f"an array of {dtype}, {shape}")
    return np.frombuffer(body, np.dtype(dtype), prod(shape), at).reshape(shape).copy()


def _quality(told: dict[str, Any]) -> Quality:
    """Sums as they were, to the last bit: JSON holds any float64."""
    ways = tuple((str(way), int(count)) for way, count in told["ways"])
    squared, greatest, signal = (float(told[name]) for name in ("squared_error", "max_error", "signal"))
    optimum, bound = (None if told[name] is None else float(told[name]) for name in ("optimum", "bound"))
    return Quality(squared, greatest, signal, optimum, bound, ways)

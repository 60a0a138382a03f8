"""Damage to files: their bytes, and what a weight file says of its blobs."""

from __future__ import annotations

import struct
from random import Random

from tests.fuzzing.samples import MODEL, WEIGHTS, Sample

NUMBERS = (0, 1, 2, 7, 31, 63, 64, 65, 127, 128, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 62, 1 << 63)
SENTINEL = struct.pack("<I", 0xDEADBEEF)
# What the metadata of a blob hold: offset in them, how it is written.
FIELDS = {
    "sentinel": (0, "<I"),
    "type": (4, "<I"),
    "size": (8, "<Q"),
    "place": (16, "<Q"),
    "bits": (24, "<Q"),
}


def damaged_bytes(sample: Sample, random: Random) -> Sample:
    """One file with some bytes changed, cut off, put in, or taken from elsewhere."""
    path = random.choice([each for each in (MODEL, MODEL, WEIGHTS, "Manifest.json") if each in sample.files])
    data = bytearray(sample.files[path])
    for _ in range(random.choice((1, 1, 2, 8))):
        random.choice((_flip, _cut, _insert, _copy, _fill))(data, random)
    return sample.with_file(path, bytes(data))


def _at(data: bytearray, random: Random) -> int:
    """A place in a file, near its beginning as often as anywhere."""
    return random.randrange(max(min(len(data), random.choice((64, 1024, len(data)))), 1))


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[_at(data, random)] ^= 1 << random.randrange(8)


def _cut(data: bytearray, random: Random) -> None:
    start = _at(data, random)
    del data[start : start + random.choice((1, 8, 100, len(data)))]


def _insert(data: bytearray, random: Random) -> None:
    start = _at(data, random)
    data[start:start] = random.randbytes(random.choice((1, 4, 64)))


def _copy(data: bytearray, random: Random) -> None:
    start, other, length = _at(data, random), _at(data, random), random.choice((1, 8, 64))
    data[start : start + length] = data[other : other + length]


def _fill(data: bytearray, random: Random) -> None:
    start, length = _at(data, random), random.choice((1, 4, 64))
    data[start : start + length] = random.choice((b"\0", b"\xff", b"\x7f", b"\n")) * length


def damaged_blobs(sample: Sample, random: Random) -> Sample:
    """A weight file with one thing changed that it says of a blob."""
    data = bytearray(sample.files[WEIGHTS])
    places = [at for at in range(64, len(data), 64) if data[at : at + 4] == SENTINEL]
    if not places:
        return sample
    offset, form = FIELDS[random.choice(list(FIELDS))]
    at = random.choice(places) + offset
    (before,) = struct.unpack_from(form, data, at)
    value = random.choice((*NUMBERS, before + 1, before - 1, before + 64, before - 64, before * 2))
    struct.pack_into(form, data, at, value % (1 << 8 * struct.calcsize(form)))
    return sample.with_file(WEIGHTS, bytes(data))


def damaged_values(sample: Sample, random: Random) -> Sample:
    """A weight file whose values are NaN, infinite, huge or tiny in places or everywhere."""
    data = bytearray(sample.files[WEIGHTS])
    pattern = random.choice((b"\xff\xff", b"\x00\x7c", b"\x00\xfc", b"\xff\x7b", b"\x01\x00", b"\x00\x80"))
    for at in range(64, len(data) - 1, 2):
        if data[at // 64 * 64 :][:4] != SENTINEL and random.random() < 0.5:
            data[at : at + 2] = pattern
    return sample.with_file(WEIGHTS, bytes(data))

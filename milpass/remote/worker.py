"""What runs where the executor does: it maps the file, searches, and gives back a few numbers."""

from __future__ import annotations

import mmap
import os
from collections import ChainMap
from collections.abc import Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass.composition import Composition
from milpass.findings.chains import Chain
from milpass.findings.keys import fingerprint, key_of
from milpass.findings.octets import to_octets
from milpass.fitting.fitted import NotFittable
from milpass.granularity import GRANULARITIES
from milpass.passes import PASSES
from milpass.text import read
from milpass.weight import Key, Reader, Source, Weight

# What is searched, and where: names and plain values, which any executor can move and any machine read.
Task: TypeAlias = dict[str, Any]

# The types that are fitted -> numpy's names of them.
TYPES = {"fp16": "<f2", "fp32": "<f4"}


def search(task: Task) -> bytes | dict[str, str]:
    """What the searches of a task find, as bytes with the key of what was fitted; or why there is nothing.

    Reasons are data, as exceptions cannot go every way: what was got, what is needed.
    """
    if task["by"] != fingerprint():
        return _refusal("another version of milpass or numpy", "the same versions as here")
    try:
        return _searched(_chain(task, _mapped(task)))
    except OSError as error:
        return _refusal(f"{error.strerror or error}: {task['path']}", "a folder that it sees under this name")
    except MemoryError:
        return _refusal(f"too little memory for {prod(task['shape']):,} values", "more of it")


def _searched(chain: Chain) -> bytes:
    key = key_of(chain)
    try:
        return to_octets(key, chain.fitted()[1])
    except NotFittable:
        return to_octets(key, ())  # whoever asked finds out why


def _refusal(got: str, needs: str) -> dict[str, str]:
    from socket import gethostname

    return {"got": f"{got} (on {gethostname()})", "needs": needs}


def _mapped(task: Task) -> NDArray[Any]:
    """The values, as a view of the file; raises `OSError` where it is not there or too short."""
    dtype, size = np.dtype(task["type"]), prod(task["shape"])
    with open(task["path"], "rb") as file:
        if (length := os.fstat(file.fileno()).st_size) < task["offset"] + size * dtype.itemsize:
            raise OSError(f"a file of {length} bytes")
        octets = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    return octets[task["offset"] :][: size * dtype.itemsize].view(dtype).reshape(task["shape"])


def _chain(task: Task, array: NDArray[Any]) -> Chain:
    """The chain of fits as it is where the task was made."""
    readers = tuple(Reader("", "", "", axes=tuple(axes)) for axes in task["axes"])
    dtype = next(name for name, stored in TYPES.items() if stored == task["type"])
    weight = Weight(Key("", (), task["name"]), array.shape, dtype, Source("", 0), readers)
    words: Mapping[str, Any] = ChainMap(PASSES, GRANULARITIES)
    fits = tuple(read(text, words) for text in task["fits"])
    legal = {kind: tuple(bits) for kind, bits in task["legal"].items()}
    return Chain(Composition(weight, legal), fits, array)

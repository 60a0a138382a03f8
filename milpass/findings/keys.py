"""What tells a fit from all others: the weight's values, the chain's text, what else decides its outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.findings.chains import Chain, has_importance
from milpass.findings.octets import DIGEST
from milpass.links import Fit
from milpass.paging import in_parts

# Bytes that are looked at at a time.
PART = 1 << 22
# What decides, beside a fit's own fields, which numbers it finds.
DECIDING = ("kernels", "encodings", "fitting", "passes", "findings", "composition.py", "granularity.py")


def key_of(chain: Chain) -> bytes:
    """The key of a fit, 32 bytes; importance counts by the numbers that its function gives.

    Raises `Mistake` where such a function gives something else.
    """
    found = blake2b(digest_size=DIGEST)
    weight = chain.composition.weight
    described = {
        "by": fingerprint(),
        "type": chain.array.dtype.str,
        "shape": chain.array.shape,
        "channels": (weight.channels.output, weight.channels.input),
        "fits": texts(chain.fits),
        "legal": _legal(chain.composition.legal, chain.fits),
    }
    found.update(json.dumps(described).encode() + b"\0")
    _add(found, chain.array)
    for fit in filter(has_importance, chain.fits):
        costs = chain.composition.importance(fit, chain.array.shape)
        assert costs is not None
        _add(found, costs)
    return found.digest()


def texts(fits: Sequence[Fit]) -> list[str]:
    """The texts of fits, which make equal ones but for their importance."""
    return [repr(evolve(cast(Any, fit), importance=None) if has_importance(fit) else fit) for fit in fits]


def _legal(legal: Mapping[str, Sequence[int]], fits: Sequence[Fit]) -> dict[str, list[int]]:
    return {kind: list(legal[kind]) for kind in sorted({fit.encoding for fit in fits})}


def _add(found: Any, array: NDArray[Any]) -> None:
    octets = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for part in in_parts(octets, PART):
        found.update(part)


@cache
def fingerprint() -> str:
    """A digest of the code that fits, and of numpy's version: what another one finds may differ."""
    found = blake2b(np.__version__.encode(), digest_size=16)
    root = Path(__file__).parents[1]
    for name in DECIDING:
        place = root / name
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found.update(file.read_bytes())
    return found.hexdigest()

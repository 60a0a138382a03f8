"""From a chain of fits to one encoding: each fit encodes the values in which the one before it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.encodings import Affine, Cast, Dense, Encoding, Lut, Sparse
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, Terms
from milpass.fitting.measuring import measured
from milpass.links import Fit, Link, links
from milpass.weight import Weight


def composed(
    weight: Weight, array: NDArray[Any], fits: Sequence[Fit], legal: Mapping[str, Sequence[int]]
) -> FittedWeight:
    """Fit the values of a weight by a chain, outermost first; raises what its modes raise."""
    pairs = list(zip(fits, links(weight, fits), strict=True))
    found = _fitted(array, *pairs[0], legal, None)
    if len(pairs) == 1:
        return found
    encoding = found.encoding
    for fit, link in pairs[1:]:
        encoding = _nested(encoding, fit, link, legal)
    return FittedWeight(encoding, measured(array, encoding))


def _fitted(
    array: NDArray[Any],
    fit: Fit,
    link: Link,
    legal: Mapping[str, Sequence[int]],
    mask: NDArray[np.bool_] | None,
) -> FittedWeight:
    terms = Terms(legal[fit.encoding], link.groups, mask)
    return mode_of(fit.encoding, fit.mode).fit(array, fit, terms)


def _nested(encoding: Encoding, fit: Fit, link: Link, legal: Mapping[str, Sequence[int]]) -> Encoding:
    """The chain with its last values encoded in turn."""
    assert isinstance(encoding, Affine | Cast | Lut | Sparse)
    if not isinstance(encoding.inner, Dense):
        return evolve(encoding, inner=_nested(encoding.inner, fit, link, legal))
    mask = encoding.mask.array() != 0 if isinstance(encoding, Sparse) else None
    return evolve(encoding, inner=_fitted(encoding.inner.array, fit, link, legal, mask).encoding)


def nbits_of(encoding: Encoding) -> int | None:
    """The bits that an index or a number of a chain takes, None where it has neither."""
    if isinstance(encoding, Lut):
        return encoding.indices.nbits
    if isinstance(encoding, Affine):
        inner = encoding.inner
        return nbits_of(inner) if not isinstance(inner, Dense) else int(inner.dtype.strip("uint"))
    return None if isinstance(encoding, Dense) else nbits_of(encoding.inner)  # type: ignore[attr-defined]

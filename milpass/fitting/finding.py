"""What a fit has found, told apart from what it stores.

A search takes long and ends in few numbers: tables, scales.  What is stored, indices as large as the weight,
is soon made of these and the weight.  A mode that searches says by `searches(options)` when it does, gives
the numbers as `FittedWeight.parameters`, and by `again(array, options, terms, finding)` makes the same
encoding, to the byte, without the search; it raises `Unusable` for numbers that are none of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, Quality, Terms

# Options (of a pass that fits), values, terms -> the fit
Fitter: TypeAlias = Callable[[Any, "NDArray[Any]", Terms], FittedWeight]


class Finding(NamedTuple):
    """The numbers that a search has found, and how good the fit is that they make."""

    parameters: tuple[NDArray[Any], ...]
    quality: Quality


class Unusable(Exception):
    """Numbers that no search for these values can have found."""


def fit_directly(options: Any, array: NDArray[Any], terms: Terms) -> FittedWeight:
    """Fit by the mode that the options name."""
    return mode_of(options.encoding, options.mode).fit(array, options, terms)


def searches(options: Any) -> bool:
    """Whether a fit searches for numbers that are worth keeping."""
    asked = getattr(mode_of(options.encoding, options.mode), "searches", None)
    return asked is not None and bool(asked(options))


def fit_again(options: Any, array: NDArray[Any], terms: Terms, finding: Finding) -> FittedWeight:
    """The fit whose numbers are found already; raises `Unusable`."""
    mode: Any = mode_of(options.encoding, options.mode)
    fitted: FittedWeight = mode.again(array, options, terms, finding)
    return fitted


def check_parameters(finding: Finding, *wanted: tuple[Any, tuple[int, ...]]) -> None:
    """Refuse parameters of other types or shapes than wanted, and such as are not finite."""
    found = [(array.dtype, array.shape) for array in finding.parameters]
    if found != [(np.dtype(dtype), shape) for dtype, shape in wanted]:
        raise Unusable(f"parameters {found}, not {wanted}")
    if not all(np.isfinite(array).all() for array in finding.parameters):
        raise Unusable("parameters that are not finite")

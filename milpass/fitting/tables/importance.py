"""What an error in each element costs, as a user's function tells."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import Mistake
from milpass.fitting.references import resolve

WHO = "importance"

# A user's function need not be made for several threads.
_ONE_AT_A_TIME = Lock()


def importance_of(
    weight: object, given: Callable[[Any], Any] | str, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Call the function, or the one named, with the weight; an array of its shape, float64.

    Raises `Mistake` where it fails, or gives another shape, or numbers that are negative or not finite.
    """
    function = resolve(given)
    needs = f"numbers of shape {shape}, finite and none below zero"
    with _ONE_AT_A_TIME:
        try:
            found = np.asarray(function(weight))
        except Exception as error:
            raise Mistake(WHO, f"{type(error).__name__}: {error}", needs) from error
    if found.dtype.kind not in "fiub" or found.shape != shape:
        raise Mistake(WHO, f"{found.dtype.name} of shape {found.shape}", needs)
    costs = found.astype(np.float64)
    if not np.isfinite(costs).all() or (costs < 0).any():
        bad = np.flatnonzero(~np.isfinite(costs.reshape(-1)) | (costs.reshape(-1) < 0))
        raise Mistake(WHO, f"{costs.reshape(-1)[bad[0]]} as element {bad[0]}", needs)
    return costs

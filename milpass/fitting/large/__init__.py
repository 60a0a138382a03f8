"""The best table for large fp32 weights without a sort; `streaming.py` is imported where one is met."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Elements from which on cells are quicker than sorting, at least and for each entry.
STREAMED = 1 << 16
STREAMED_PER_ENTRY = 1 << 13


def is_streamed(array: NDArray[Any], k: int) -> bool:
    """Whether cells are the quicker way to the best table of k entries."""
    return array.dtype == np.float32 and array.size >= max(STREAMED, STREAMED_PER_ENTRY * k)

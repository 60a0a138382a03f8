from typing import Any

from numpy.typing import NDArray

def label(
    columns: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    group_low: NDArray[Any],
    group_high: NDArray[Any],
    centres: NDArray[Any],
    block: int,
    group: int,
    lists: NDArray[Any],
    distances: NDArray[Any],
    nearest: NDArray[Any],
    labels: NDArray[Any],
    errors: NDArray[Any],
) -> None: ...

from typing import Any

from numpy.typing import NDArray

def add_seeds(
    columns: NDArray[Any],
    weights: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
    block: int,
    draws: NDArray[Any],
    first: int,
    labels: NDArray[Any],
    closest: NDArray[Any],
    blocks: NDArray[Any],
    seeds: NDArray[Any],
    found: NDArray[Any],
) -> None: ...

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
def add_up(
    columns: NDArray[Any], weights: NDArray[Any], labels: NDArray[Any], totals: NDArray[Any]
) -> None: ...
def rank_neighbours(centres: NDArray[Any], neighbours: NDArray[Any], between: NDArray[Any]) -> None: ...
def reassign(
    columns: NDArray[Any],
    weights: NDArray[Any],
    centres: NDArray[Any],
    neighbours: NDArray[Any],
    between: NDArray[Any],
    travelled: NDArray[Any],
    furthest: float,
    labels: NDArray[Any],
    slack: NDArray[Any],
    lower: NDArray[Any],
    totals: NDArray[Any],
) -> None: ...

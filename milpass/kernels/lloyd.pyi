from typing import Any

from numpy.typing import NDArray

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

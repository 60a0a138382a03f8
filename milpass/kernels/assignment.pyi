from typing import Any

from numpy.typing import NDArray

def look_up(patterns: NDArray[Any], index_of: NDArray[Any], indices: NDArray[Any]) -> None: ...
def count_cuts(values: NDArray[Any], cuts: NDArray[Any], indices: NDArray[Any]) -> None: ...
def measure(values: NDArray[Any], indices: NDArray[Any], table: NDArray[Any], sums: NDArray[Any]) -> None: ...
def choose(
    values: NDArray[Any],
    counts: NDArray[Any],
    entries: NDArray[Any],
    middles: NDArray[Any],
    chosen: NDArray[Any],
    sums: NDArray[Any],
) -> None: ...

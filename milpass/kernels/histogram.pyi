from typing import Any

from numpy.typing import NDArray

def count_patterns(patterns: NDArray[Any], counters: NDArray[Any]) -> None: ...
def collect_counts(
    counters: NDArray[Any], patterns: NDArray[Any], counts: NDArray[Any], found: NDArray[Any]
) -> None: ...
def count_in_blocks(patterns: NDArray[Any], counters: NDArray[Any], touched: NDArray[Any]) -> None: ...
def collect_blocks(
    counters: NDArray[Any],
    touched: NDArray[Any],
    patterns: NDArray[Any],
    counts: NDArray[Any],
    found: NDArray[Any],
) -> None: ...

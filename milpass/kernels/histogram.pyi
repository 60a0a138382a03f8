from typing import Any

from numpy.typing import NDArray

def count_patterns(patterns: NDArray[Any], counters: NDArray[Any]) -> None: ...
def collect_counts(
    counters: NDArray[Any], patterns: NDArray[Any], counts: NDArray[Any], found: NDArray[Any]
) -> None: ...
def collect_runs(
    ascending: NDArray[Any], patterns: NDArray[Any], counts: NDArray[Any], found: NDArray[Any]
) -> None: ...

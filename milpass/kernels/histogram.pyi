from typing import Any

from numpy.typing import NDArray

def count_patterns(patterns: NDArray[Any], counters: NDArray[Any]) -> None: ...

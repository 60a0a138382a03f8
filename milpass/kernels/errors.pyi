from typing import Any

from numpy.typing import NDArray

def compare(values: NDArray[Any], seen: NDArray[Any], sums: NDArray[Any]) -> None: ...
def compare_indexed(
    patterns: NDArray[Any],
    reals: NDArray[Any],
    indices: NDArray[Any],
    entries: NDArray[Any],
    sums: NDArray[Any],
) -> None: ...

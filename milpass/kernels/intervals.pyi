from typing import Any

from numpy.typing import NDArray

def trace(previous: NDArray[Any], edges: NDArray[Any]) -> None: ...
def measure(
    values: NDArray[Any],
    counts: NDArray[Any],
    edges: NDArray[Any],
    means: NDArray[Any],
    cost: NDArray[Any],
) -> None: ...

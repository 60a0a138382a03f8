from typing import Any

from numpy.typing import NDArray

def add_moments(patterns: NDArray[Any], places: NDArray[Any], moments: NDArray[Any]) -> None: ...
def gather(
    patterns: NDArray[Any],
    places: NDArray[Any],
    wanted: NDArray[Any],
    gathered: NDArray[Any],
    number: NDArray[Any],
) -> None: ...

from typing import Any

from numpy.typing import NDArray

def round_off(
    values: NDArray[Any],
    bits: NDArray[Any],
    reals: NDArray[Any],
    halves: NDArray[Any],
    sums: NDArray[Any],
) -> None: ...

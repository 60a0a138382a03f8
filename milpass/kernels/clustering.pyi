from typing import Any

from numpy.typing import NDArray

def accumulate(values: NDArray[Any], counts: NDArray[Any], centre: float, sums: NDArray[Any]) -> None: ...
def sweep(
    sums: NDArray[Any],
    price: float,
    discounts: NDArray[Any],
    best: NDArray[Any],
    previous: NDArray[Any],
    heads: NDArray[Any],
) -> None: ...

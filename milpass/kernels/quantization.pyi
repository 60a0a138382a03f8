from typing import Any

from numpy.typing import NDArray

def widen(patterns: NDArray[Any], floats: NDArray[Any], values: NDArray[Any]) -> None: ...
def quantize(
    values: NDArray[Any],
    scales: NDArray[Any],
    zeros: NDArray[Any],
    low: float,
    high: float,
    codes: NDArray[Any],
) -> None: ...
def compare(values: NDArray[Any], codes: NDArray[Any], seen: NDArray[Any], errors: NDArray[Any]) -> None: ...
def assess(
    values: NDArray[Any],
    scales: NDArray[Any],
    zeros: NDArray[Any],
    low: float,
    high: float,
    sums: NDArray[Any],
) -> None: ...
def quantize_biased(
    values: NDArray[Any],
    scales: NDArray[Any],
    biases: NDArray[Any],
    high: float,
    codes: NDArray[Any],
    errors: NDArray[Any],
) -> None: ...
def assess_biased(
    values: NDArray[Any], scales: NDArray[Any], biases: NDArray[Any], high: float, sums: NDArray[Any]
) -> None: ...

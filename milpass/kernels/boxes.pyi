from typing import Any

from numpy.typing import NDArray

def find_cells(
    vectors: NDArray[Any], cuts: NDArray[Any], codes: NDArray[Any], cells: NDArray[Any], starts: NDArray[Any]
) -> None: ...
def order_by_cell(cells: NDArray[Any], starts: NDArray[Any], order: NDArray[Any]) -> None: ...
def gather(vectors: NDArray[Any], order: NDArray[Any], columns: NDArray[Any]) -> None: ...
def bound(columns: NDArray[Any], block: int, low: NDArray[Any], high: NDArray[Any]) -> None: ...
def hand_back(
    columns: NDArray[Any],
    centres: NDArray[Any],
    labels: NDArray[Any],
    order: NDArray[Any],
    indices: NDArray[Any],
    greatest: NDArray[Any],
) -> None: ...

"""What a dialect hands to a target: operations to write, free of any container's own types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(eq=False)
class Value:
    """One stored operand: its format's type, its shape, its bytes.

    `data` is flat, of the type that `dtype` names, or bytes (uint8) where the type is narrower than one.
    """

    dtype: str
    shape: tuple[int, ...]
    data: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """The bytes it takes in the file, without alignment."""
        return int(self.data.nbytes)


@frozen(eq=False)
class Record:
    """One constant operation that yields `shape` of `dtype` from its operands.

    An operand is a stored value or another record, whose result it then names.  `placement` tells where
    the format keeps operands: as attributes of the operation or as its inputs.
    """

    op_type: str
    placement: Literal["attributes", "inputs"]
    dtype: str
    shape: tuple[int, ...]
    operands: Mapping[str, Value | Record]

    @property
    def nbytes(self) -> int:
        """The bytes of all stored operands, nested ones counted."""
        return sum(operand.nbytes for operand in self.operands.values())

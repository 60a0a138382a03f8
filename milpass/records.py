"""What a dialect hands to a target: operations to write, free of any container's own types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from attrs import field, frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Operands that tell how others are to be read.
DESCRIBING = frozenset({"shape", "axis", "vector_axis", "output_dtype", "numberOfBits"})


class Pieces(NamedTuple):
    """Bytes that are made when they are written, piece by piece, because they are many."""

    nbytes: int
    make: Callable[[], Iterator[NDArray[Any]]]

    def joined(self) -> NDArray[Any]:
        """All of them at once."""
        from numpy import concatenate

        return concatenate(list(self.make()))


@frozen(eq=False)
class Value:
    """One stored operand: its format's type, its shape, its bytes.

    `data` is flat, of the type that `dtype` names, or bytes (uint8) where the type is narrower than one.
    """

    dtype: str
    shape: tuple[int, ...]
    _held: NDArray[Any] | Pieces = field(alias="data")

    @property
    def data(self) -> NDArray[Any]:
        """All of its bytes."""
        return self._held.joined() if isinstance(self._held, Pieces) else self._held

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Its bytes in order, in pieces where they are made so."""
        return self._held.make() if isinstance(self._held, Pieces) else iter((self._held,))

    @property
    def nbytes(self) -> int:
        """The bytes it takes in the file, without alignment."""
        return int(self._held.nbytes)


@frozen(eq=False)
class Record:
    """One constant operation that yields `shape` of `dtype` from its operands.

    An operand is a stored value or the result of another record.  `placement` tells where the format keeps
    operands: as attributes of the operation or as its inputs.  `before` are the types and shapes of results
    that it yields before that one.
    """

    op_type: str
    placement: Literal["attributes", "inputs"]
    dtype: str
    shape: tuple[int, ...]
    operands: Mapping[str, Value | Result]
    before: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @property
    def results(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The types and shapes of all results."""
        return (*self.before, (self.dtype, self.shape))

    def result(self, number: int = -1) -> Result:
        """One of its results, the last unless told otherwise."""
        return Result(self, number % len(self.results))

    @property
    def nbytes(self) -> int:
        """The bytes of all stored numbers, nested ones counted, those that only describe shapes not."""
        waiting, counted, total = [self], {id(self)}, 0
        while waiting:
            record = waiting.pop()
            numbers = [operand for name, operand in record.operands.items() if name not in DESCRIBING]
            total += sum(n.nbytes for n in numbers if isinstance(n, Value))
            nested = {id(n.record): n.record for n in numbers if isinstance(n, Result)}
            waiting += [each for key, each in nested.items() if key not in counted]
            counted |= nested.keys()
        return total


@frozen(eq=False)
class Result:
    """One result of an operation, as an operand of another."""

    record: Record
    number: int

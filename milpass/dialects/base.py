"""How a format spells an encoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from attrs import frozen

from milpass.encodings import Encoding
from milpass.records import Record, Value


class Fit(Protocol):
    """What a dialect asks of a fit before it is made."""

    encoding: ClassVar[str]

    @property
    def nbits(self) -> int | None:
        """Bits an index, None where the data tell."""


@frozen
class Dialect:
    """One format's spelling of every encoding that it can hold; no I/O.

    `spells`: kind of encoding -> its operation; `reads`: operation type -> the encoding of its operands;
    `legal`: kind of encoding -> the numbers of bits that the format can say, ascending.
    """

    name: str
    spells: Mapping[str, Callable[[Any], Record]]
    reads: Mapping[str, Callable[[Record, Mapping[str, Value]], Encoding]]
    legal: Mapping[str, tuple[int, ...]]

    def refuse(self, fits: Sequence[Fit]) -> str | None:
        """Why the format cannot hold a chain of fits, None where it can; no weight is read."""
        if len(fits) != 1:
            return f"{self.name}: one encoding inside another is not written yet"
        fit = fits[0]
        legal = self.legal.get(fit.encoding, ())
        if fit.nbits in legal or (fit.nbits is None and legal):
            return None
        return f"{self.name} has no {fit.encoding} of {fit.nbits} bits: {', '.join(map(str, legal))}"

    def nbytes(self, nbits: int, size: int, itemsize: int) -> int:
        """The bytes that the indices and the table of `size` elements of `itemsize` bytes take."""
        return -(-size * nbits // 8) + (itemsize << nbits)

    def spell(self, encoding: Encoding) -> Record:
        """The operation that stores an encoding."""
        return self.spells[encoding.kind](encoding)

    def read(self, record: Record) -> Encoding:
        """The encoding that an operation stores, the inverse of `spell`; `ValueError` where it is none."""
        if record.op_type not in self.reads:
            raise ValueError(f"{record.op_type} is not read yet")
        plain = {name: value for name, value in record.operands.items() if isinstance(value, Value)}
        try:
            return self.reads[record.op_type](record, plain)
        except KeyError as missing:
            raise ValueError(f"{record.op_type} without a stored operand {missing}") from None

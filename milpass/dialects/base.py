"""How a format spells an encoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from attrs import evolve, frozen

from milpass.encodings import Affine, Cast, Dense, Encoding, Lut, Sparse
from milpass.encodings.dense import stored_name
from milpass.links import Link, stored_bytes
from milpass.records import Record, Result, Value
from milpass.weight import Weight

Operands: TypeAlias = Mapping[str, Value | Result]
# Why a format cannot hold a link, None where it can.
Rule: TypeAlias = Callable[[Link], "str | None"]
# Why it cannot hold one inside another.
Joint: TypeAlias = Callable[[Link, Link], "str | None"]


@frozen
class Dialect:
    """One format's spelling of every encoding that it can hold; no I/O.

    `spells`: kind of encoding -> its operation; `reads`: operation type -> the encoding of its operands;
    `legal`: kind of encoding -> the numbers of bits that the format can say, ascending, none where there is
    no choice; `rules`: what else it asks of a link, `joints`: of one (the second) inside another;
    `nests`: the chains of more than one link that it has;
    `always_offset`: whether it stores zero points with every scale, zeros where none are asked for;
    `has_biases`: whether it has numbers of the weight's type in their place, that stand for the number 0;
    `one_type_a_layer`: whether no operation may have both fp16 and fp32 weights; `rounding`: the uses of
    weights, operation.input, where an operation can round its other input to whole numbers.
    """

    name: str
    spells: Mapping[str, Callable[[Any], Record]]
    reads: Mapping[str, Callable[[Record, Operands], Encoding]]
    legal: Mapping[str, tuple[int, ...]]
    rules: Sequence[Rule] = ()
    joints: Sequence[Joint] = ()
    nests: frozenset[tuple[str, ...]] = frozenset()
    always_offset: bool = False
    has_biases: bool = False
    one_type_a_layer: bool = False
    rounding: frozenset[str] = frozenset()

    def refuse(self, chain: Sequence[Link]) -> str | None:
        """Why the format cannot hold a chain, None where it can; no weight is read."""
        kinds = tuple(link.encoding for link in chain)
        if len(chain) > 1 and kinds not in self.nests:
            return f"{self.name} has no {' inside '.join(reversed(kinds))}"
        rules = (self._illegal_bits, self._illegal_rounding, *self.rules)
        alone = (rule(link) for link in chain for rule in rules)
        joined = (joint(*pair) for pair in pairwise(chain) for joint in self.joints)
        why = next(filter(None, (*alone, *joined)), None)
        return why and f"{self.name} has {why}"

    def _illegal_rounding(self, link: Link) -> str | None:
        if not link.rounds_inputs or link.uses & self.rounding:
            return None
        known = f", but {', '.join(sorted(self.rounding))}" if self.rounding else ""
        return f"no operation that rounds its input{known}"

    def _illegal_bits(self, link: Link) -> str | None:
        legal = self.legal.get(link.encoding)
        if legal is None:
            return f"no {link.encoding}"
        if link.nbits is None or link.nbits in legal:
            return None
        return f"no {link.encoding} of {link.nbits} bits: {', '.join(map(str, legal))}"

    def stored_bytes(self, chain: Sequence[Link], weight: Weight) -> int | None:
        """The bytes that a chain takes in this format, without alignment; None where the data tell."""
        if self.always_offset:
            chain = [evolve(link, has_offset=link.encoding == "affine") for link in chain]
        if self.has_biases:
            biased = (link.encoding == "affine" and not link.rounds_inputs for link in chain)
            chain = [evolve(link, has_bias=has) for link, has in zip(chain, biased, strict=True)]
        return stored_bytes(chain, weight)

    def spell(self, encoding: Encoding) -> Record:
        """The operation that stores an encoding."""
        return self.spells[encoding.kind](encoding)

    def read(self, record: Record) -> Encoding:
        """The encoding that an operation stores, the inverse of `spell`; `ValueError` where it is none."""
        if record.op_type not in self.reads:
            raise ValueError(f"{record.op_type} is not read yet")
        try:
            found = self.reads[record.op_type](record, record.operands)
        except KeyError as missing:
            raise ValueError(f"{record.op_type} without a stored operand {missing}") from None
        except _Nested as name:
            raise ValueError(f"{record.op_type} with a compressed operand {name}") from None
        if (dtype_of(found), found.shape) != (record.dtype, record.shape):
            yields = f"{record.dtype} of shape {record.shape}"
            raise ValueError(f"{dtype_of(found)} of shape {found.shape} where {yields} is said to come")
        return found


def dtype_of(encoding: Encoding) -> str:
    """The type of the values that an encoding decodes to."""
    if isinstance(encoding, Lut | Sparse):
        return dtype_of(encoding.inner)
    if isinstance(encoding, Affine):
        return stored_name(encoding.scale.dtype)
    return encoding.dtype if isinstance(encoding, Cast | Dense) else encoding.kind


class _Nested(Exception):
    """An operand that must be stored is the result of an operation."""


def value(operands: Operands, name: str) -> Value:
    """A stored operand."""
    found = operands[name]
    if not isinstance(found, Value):
        raise _Nested(name)
    return found

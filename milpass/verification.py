"""Reading a written copy again: every weight is what the plan states, or what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Encoding
from milpass.errors import VerificationError
from milpass.fitting.measuring import measured
from milpass.legality import dialect_of
from milpass.paging import in_parts, release
from milpass.plan import Plan, Replaced, Row
from milpass.reading import decoded
from milpass.records import Record, Result, Value
from milpass.scheduling import in_order
from milpass.targets import Target
from milpass.weight import Key, Weight

# What another order of summing may do to an error, relative to it; and to the weight's sum of squares.
TOLERANCE = 1e-6
ROUNDING = 1e-12
# Bytes that are compared at a time.
PART = 1 << 22


def verify(plan: Plan, source: Target, written: Target, threads: int) -> None:
    """Compare each weight of a written copy with its source; raises `VerificationError` for the first.

    A weight that was stored anew is decoded from the copy, and its errors must be those that the plan states;
    any other must have the same bytes.
    """
    sources = {weight.key: weight for weight in source.weights()}
    copies = {weight.key: weight for weight in written.weights()}
    check = _Check(source, written, sources, copies)
    for _ in in_order(check.row, plan.constants, threads):
        pass


class _Check:
    """The comparison of one row's weight."""

    def __init__(
        self, source: Target, written: Target, sources: Mapping[Key, Weight], copies: Mapping[Key, Weight]
    ) -> None:
        self._source, self._written = source, written
        self._sources, self._copies = sources, copies

    def row(self, row: Row) -> None:
        """Compare a weight as the plan tells it."""
        before, after = self._sources[row.weight.key], self._copies.get(row.weight.key)
        if after is None:
            raise _failed(row.weight, "no such constant in the copy", "the constant")
        self._compare(row, before, after)
        self._let_go(self._source, before)
        self._let_go(self._written, after)

    def _let_go(self, target: Target, weight: Weight) -> None:
        """What has been compared is not kept mapped."""
        for value in stored(target.record(weight)) if weight.encoded else ():
            release(value.data)
        if not weight.encoded:
            release(weight.load())

    def _compare(self, row: Row, before: Weight, after: Weight) -> None:
        if isinstance(row.entry, Replaced) and row.entry.result:
            self._stored_anew(row, before, after)
        else:
            self._unchanged(before, after)

    def _stored_anew(self, row: Row, before: Weight, after: Weight) -> None:
        assert isinstance(row.entry, Replaced) and row.entry.result is not None
        if row.entry.fits[0].encoding == "dense":
            return self._unchanged(before, after)  # NaN and infinite values among them, which have no error
        stated, values = row.entry.result, decoded(self._source, before)
        found = measured(values, self._encoding(after))
        if any(getattr(fit, "importance", None) for fit in row.entry.fits):
            is_same = isclose(found.max_error, stated.max_error, rel_tol=TOLERANCE)
        else:
            least = ROUNDING * found.signal
            is_same = isclose(found.squared_error, stated.squared_error, rel_tol=TOLERANCE, abs_tol=least)
        if not is_same:
            raise _failed(
                row.weight,
                f"a squared error of {found.squared_error:g}, {found.max_error:g} at most",
                f"{stated.squared_error:g} and {stated.max_error:g}, as the plan states",
            )

    def _encoding(self, weight: Weight) -> Encoding:
        """A weight of the copy, as it stands in its file."""
        dialect = dialect_of(self._written, weight)
        if not weight.encoded or dialect is None:
            return Dense(weight.load())
        try:
            return dialect.read(self._written.record(weight))
        except ValueError as error:
            raise _failed(weight, str(error), "what can be read again") from None

    def _unchanged(self, before: Weight, after: Weight) -> None:
        if before.encoded and after.encoded:
            records = (self._source.record(before), self._written.record(after))
            if _same_record(*records):
                return  # such as one that milpass cannot decode
        try:
            values = (decoded(self._source, before), decoded(self._written, after))
        except ValueError as error:
            raise _failed(before, str(error), "what can be read again") from None
        if not _same_bytes(*values):
            raise _failed(before, "other values than before", "the same bytes")


def stored(record: Record) -> Iterator[Value]:
    """The stored operands of a record and of those that it nests."""
    for operand in record.operands.values():
        if isinstance(operand, Result):
            yield from stored(operand.record)
        else:
            yield operand


def _same_record(left: Record, right: Record) -> bool:
    """Whether two operations, and those that they nest, are stored alike to the byte."""
    said, again = ((each.op_type, each.results, each.operands.keys()) for each in (left, right))
    if said != again:
        return False
    return all(_same_operand(operand, right.operands[name]) for name, operand in left.operands.items())


def _same_operand(left: Value | Result, right: Value | Result) -> bool:
    if isinstance(left, Result) or isinstance(right, Result):
        if not (isinstance(left, Result) and isinstance(right, Result)):
            return False
        return left.number == right.number and _same_record(left.record, right.record)
    alike = (left.dtype, left.shape) == (right.dtype, right.shape)
    return alike and _same_bytes(left.data, right.data)


def _same_bytes(left: NDArray[Any], right: NDArray[Any]) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    flat = (np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in (left, right))
    parts = zip(*(in_parts(each, PART) for each in flat), strict=True)
    return all(np.array_equal(one, other) for one, other in parts)


def _failed(weight: Weight, got: str, needs: str) -> VerificationError:
    return VerificationError(
        weight.label,
        who="milpass",
        cannot="confirm what it wrote",
        got=got,
        needs=needs,
        remedy="Nothing was put at the destination; this is a defect of milpass or of the disk",
    )

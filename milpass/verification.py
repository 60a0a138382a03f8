"""Reading a written copy again: every weight is what the plan states, or what it was."""

from __future__ import annotations

from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Encoding
from milpass.errors import VerificationError
from milpass.fitting.measuring import errors
from milpass.paging import in_parts
from milpass.plan import Plan, Replaced, Row
from milpass.plan import Result as Stated
from milpass.reading import Stored
from milpass.records import Record, Result, Value
from milpass.scheduling import are_few, are_small, in_order
from milpass.targets import Target
from milpass.weight import Weight

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

    def check(row: Row) -> None:
        if row.weight.key not in copies:
            raise _failed(row.weight, "no such constant in the copy", "the constant")
        before = Stored(source, sources[row.weight.key])
        after = Stored(written, copies[row.weight.key])
        _compare(row, before, after)
        before.let_go()
        after.let_go()

    sizes = [row.weight.size for row in plan.constants]
    is_short = are_few(sizes) or are_small(sizes)
    for _ in in_order(check, plan.constants, 1 if is_short else threads):
        pass


def _compare(row: Row, before: Stored, after: Stored) -> None:
    if not isinstance(row.entry, Replaced) or row.entry.result is None:
        _check_unchanged(before, after)
    elif row.entry.fits[0].encoding == "dense":
        _check_unchanged(before, after)  # NaN and infinite values among them, which have no error
    else:
        _check_errors(row.entry, row.entry.result, before, after)


def _check_errors(entry: Replaced, stated: Stated, before: Stored, after: Stored) -> None:
    squared, greatest = errors(before.decoded(), _encoding(after))
    if any(getattr(fit, "importance", None) for fit in entry.fits):
        is_same = isclose(greatest, stated.max_error, rel_tol=TOLERANCE)
    else:
        is_same = isclose(
            squared, stated.squared_error, rel_tol=TOLERANCE, abs_tol=ROUNDING * _signal(stated)
        )
    if not is_same:
        raise _failed(
            before.weight,
            f"a squared error of {squared:g}, {greatest:g} at most",
            f"{stated.squared_error:g} and {stated.max_error:g}, as the plan states",
        )


def _signal(stated: Stated) -> float:
    """The sum of a weight's squares, of which a stated error is some decibels; 0.0 where there is none."""
    return stated.squared_error * 10 ** (stated.snr / 10) if stated.squared_error else 0.0


def _encoding(copy: Stored) -> Encoding:
    """A weight of the copy, as it stands in its file."""
    try:
        return copy.encoding()
    except ValueError as error:
        raise _failed(copy.weight, str(error), "what can be read again") from None


def _check_unchanged(before: Stored, after: Stored) -> None:
    if before.weight.encoded and after.weight.encoded and _same_record(before.record, after.record):
        return  # such as one that milpass cannot decode
    try:
        values = before.decoded(), after.decoded()
    except ValueError as error:
        raise _failed(before.weight, str(error), "what can be read again") from None
    if not _same_bytes(*values):
        raise _failed(before.weight, "other values than before", "the same bytes")


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

"""What a dialect spells decodes, by coremltools' own operation definitions, to what the encoding says."""

from __future__ import annotations

import re
from inspect import signature
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
from hypothesis import given

from milpass.dialects.ios16 import IOS16
from milpass.dialects.ios18 import IOS18
from milpass.encodings import Encoding
from milpass.records import Record, Value
from milpass.testing.strategies.encodings import encodings
from tests.encodings import unpacked_by_numpy
from tests.strategies import quick

FEW = quick(max_examples=150, derandomize=True)


def operand(value: Value) -> Any:
    """An operand as coremltools keeps it in memory, its bits unpacked by numpy."""
    narrow = re.match(r"(u?)int([1-7])$", value.dtype)
    if narrow is None:
        array = value.data.reshape(value.shape)
    else:
        size, signed = int(np.prod(value.shape)), not narrow[1]
        array = unpacked_by_numpy(value.data, int(narrow[2]), size, signed=signed).reshape(value.shape)
    return array[()] if array.ndim == 0 else array


def decompressed(record: Record, release: Any) -> tuple[np.ndarray, ...]:
    """The record's results by coremltools' definition of its operation, of operands' operations first."""
    operands = {
        name: operand(value)
        if isinstance(value, Value)
        else decompressed(value.record, release)[value.number]
        for name, value in record.operands.items()
    }
    if record.op_type == "constexpr_cast":  # has no static decompress
        return (operands["source_val"].astype(np.float32),)
    decompress = SSAOpRegistry.core_ops[record.op_type][release].decompress
    for name in signature(decompress).parameters:
        operands.setdefault(name, None)
    found = decompress(**operands)
    return found if isinstance(found, tuple) else (found,)


def assert_same(left: np.ndarray, right: np.ndarray) -> None:
    assert left.shape == right.shape and left.dtype == right.dtype
    np.testing.assert_array_equal(left, right)


@FEW
@given(encodings("iOS16"))
def test_ios16(encoding: Encoding) -> None:
    with np.errstate(over="ignore"):
        assert_same(decompressed(IOS16.spell(encoding), ct.target.iOS16)[-1], encoding.decode())


@FEW
@given(encodings("iOS18"))
def test_ios18(encoding: Encoding) -> None:
    with np.errstate(over="ignore"):
        assert_same(decompressed(IOS18.spell(encoding), ct.target.iOS18)[-1], encoding.decode())

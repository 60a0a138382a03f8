"""Constants as coremltools' builder takes them: those with a line, and those that stand in their readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from milpass.testing.mini_mil.lifting import type_of
from milpass.testing.mini_mil.literals import (
    array_of,
    drawn,
    kinds,
    literal_of,
    spelled_literal,
    spelled_type,
)
from milpass.testing.mini_mil.mil import mil
from milpass.testing.mini_mil.normal_form import SHORT, is_weight_operand
from milpass.testing.mini_mil.syntax import Call, Constant, Literal, Nested, Type

# The types of a literal's kind, that which it has of itself first.
_OWN: dict[type, tuple[str, ...]] = {
    float: ("fp32", "fp16"),
    int: ("int32", "uint32", "int16", "uint16", "int8", "uint8"),
    bool: ("bool",),
    str: ("string",),
}


def constant_value(constant: Constant) -> Any:
    """The value of a constant in the numpy type that tells coremltools its type."""
    given = constant.value is not None
    array = array_of(constant.type, constant.value) if given else drawn(constant.type, constant.name)
    return _held(array, constant.type)


def _held(array: Any, kind: Type) -> Any:
    if kind.dtype == "string":
        return array
    dtype = mil().types.nptype_from_builtin(mil().types.string_to_builtin(kind.dtype))
    typed = np.asarray(array).astype(dtype)
    # A scalar of numpy, not an array without dimensions, is what coremltools takes for a scalar.  Numpy's
    # scalars forget which narrow type they are.
    return typed[()] if dtype == np.dtype(dtype).type else typed


def inline_value(
    call: Call, operation: Any, name: str, named: Mapping[str, Any], taken: Mapping[str, Any]
) -> Any:
    """The value of one input: given values as they are, types and literals as new constants."""
    value = named[name]
    several = isinstance(operation.input_spec.input_types[name], mil().TupleInputType)
    if several != isinstance(value, tuple):
        needs = (
            "a tuple of values, such as `(a, b)`" if several else "one value; a literal is a list `[1, 2]`"
        )
        raise call.place.refusal("read the arguments", f"`{name}`", f"{needs}, for it")
    if not several:
        return _one(call, value, f"{call.outputs[0]}_{name}", _types(call, operation, name, named), taken)
    beside = [type_of(other).dtype for other in value if isinstance(other, mil().Var)]
    return tuple(
        _one(call, element, f"{call.outputs[0]}_{name}_{index}", _of_kind(element, beside), taken)
        for index, element in enumerate(value)
    )


def _of_kind(value: Any, types: list[str]) -> list[str]:
    """The first of some types that a literal has the kind of."""
    return [name for name in types if isinstance(value, Literal) and name in _own(value.value)][:1]


def _own(literal: Nested) -> tuple[str, ...]:
    """The types of a literal's kind; of either kind of number where there is no element."""
    found = kinds(literal)
    return _OWN[next(iter(found))] if found else _OWN[float] + _OWN[int]


def _types(call: Call, operation: Any, name: str, named: Mapping[str, Any]) -> list[str]:
    """The types that a literal may have as an input: an operand's it must agree with, or the input's."""
    inputs = operation.input_spec.input_types
    domain = getattr(inputs[name], "type_domain_id", None)
    for other, value in named.items():
        if domain is not None and getattr(inputs[other], "type_domain_id", None) == domain:
            if isinstance(value, mil().Var):
                return [type_of(value).dtype]
            if isinstance(value, Type):
                return [value.dtype]
    allowed = getattr(inputs[name], "type_domain", ()) or operation.type_domains.get(domain, ())
    return [mil().types.builtin_to_string(kind) for kind in allowed]


def _one(call: Call, value: Any, name: str, allowed: list[str], taken: Mapping[str, Any]) -> Any:
    if isinstance(value, Type):
        return _const(_weight(call, value, name), value, name, taken)
    if not isinstance(value, Literal):
        return value
    array, kind = _typed(call, value.value, allowed)
    return _const(array, kind, name, taken)


def _weight(call: Call, kind: Type, name: str) -> Any:
    if not is_weight_operand(call.op_type, kind.dtype):
        needs = "types only as weights of `constexpr_` operations"
        raise call.place.refusal(
            "draw values", spelled_type(kind), needs, "Write `name = const(type)` before it"
        )
    return drawn(kind, name)


def _typed(call: Call, literal: Nested, allowed: list[str]) -> tuple[Any, Type]:
    """A literal's array and type; refuses one that would print otherwise than it was written."""
    own = _own(literal)
    dtype = next((name for name in own if name in allowed), [*allowed, own[0]][0])
    spelled = spelled_literal(literal)
    try:
        kind = Type(dtype, np.shape(literal))
        array = array_of(kind, literal)
    except (ValueError, OverflowError) as error:
        raise call.place.refusal("read a literal", str(error), f"one that {dtype} holds") from None
    if (held := spelled_literal(literal_of(array, dtype))) != spelled:
        raise call.place.refusal("read a literal", spelled, f"what {dtype} holds, such as {held}")
    if is_weight_operand(call.op_type, dtype) or kind.size >= SHORT:
        remedy = "Write `name = const(type, value)` before it"
        raise call.place.refusal("read a literal", spelled, "short settings as literals", remedy)
    return array, kind


def _const(array: Any, kind: Type, name: str, taken: Mapping[str, Any]) -> Any:
    """A constant of the builder, named after its reader and input as coremltools names them."""
    index = next(index for index in range(len(taken) + 1) if f"{name}_{index}" not in taken)
    return mil().Builder.const(val=_held(array, kind), name=f"{name}_{index}")

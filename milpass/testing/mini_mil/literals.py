"""Values of constants: literals of Python, arrays of numpy, and those that a name and a type draw."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from milpass.testing.mini_mil.syntax import Nested, Type

if TYPE_CHECKING:
    from numpy.typing import NDArray

# type -> the numpy type that holds it; narrow integers lie in bytes.
DTYPES: dict[str, Any] = {
    "fp16": np.float16,
    "fp32": np.float32,
    "bool": np.bool_,
    "string": np.str_,
    **{f"int{bits}": np.dtype(f"int{max(bits, 8)}").type for bits in (4, 8, 16, 32)},
    **{f"uint{bits}": np.dtype(f"uint{max(bits, 8)}").type for bits in (8, 16, 32)},
    **dict.fromkeys(("uint1", "uint2", "uint3", "uint4", "uint6"), np.uint8),
}

# Floats that Python has no literal for.
NUMBERS: dict[str, float] = {"inf": float("inf"), "nan": float("nan")}


def is_float(dtype: str) -> bool:
    """Whether a type is one of floats."""
    return dtype.startswith("fp")


def kinds(literal: Nested) -> set[type]:
    """The types of the scalars in a literal."""
    if not isinstance(literal, list):
        return {type(literal)}
    return {kind for element in literal for kind in kinds(element)}


def alike(literal: Nested) -> Nested:
    """The literal with its integers as floats, if it has floats; raises `ValueError` for other mixtures."""
    found = kinds(literal)
    if found == {int, float}:
        return _floats(literal)
    if len(found) > 1:
        raise ValueError(f"{' and '.join(sorted(kind.__name__ for kind in found))} in one literal")
    return literal


def _floats(literal: Nested) -> Nested:
    return [_floats(element) for element in literal] if isinstance(literal, list) else float(literal)


def literal_of(array: Any, dtype: str) -> Nested:
    """The literal of an array's values; floats with no more digits than tell them from their neighbours."""
    if dtype == "string":
        return str(array)
    values = np.asarray(array)
    if not is_float(dtype):
        return values.tolist()
    short = [float(str(value)) for value in values.reshape(-1)]
    return np.array(short, object).reshape(values.shape).tolist()


def array_of(type: Type, literal: Nested) -> Any:
    """The array of a literal, a scalar filling the shape; raises `ValueError` where the type has it not."""
    if type.dtype == "string":
        return _string(type, literal)
    values = np.asarray(literal)
    if values.dtype.kind not in _kinds_held(type.dtype) and values.size:
        raise ValueError(f"{spelled_literal(literal)} for {spelled_type(type)}")
    if type.dtype[-1].isdigit() and not is_float(type.dtype) and values.size:
        low, high = integer_range(type.dtype)
        if values.min() < low or values.max() > high:
            raise ValueError(f"{spelled_literal(literal)} for {type.dtype}, which has {low} to {high}")
    if values.shape not in ((), type.shape):
        raise ValueError(f"a literal of shape {list(values.shape)} for {spelled_type(type)}")
    with np.errstate(over="ignore"):
        return np.full(type.shape, values.astype(DTYPES[type.dtype]))


def _kinds_held(dtype: str) -> str:
    return "fi" if is_float(dtype) else "b" if dtype == "bool" else "i"


def _string(type: Type, literal: Nested) -> str:
    if type.shape or not isinstance(literal, str):
        raise ValueError(f"{spelled_literal(literal)} for {spelled_type(type)}")
    return literal


def integer_range(dtype: str) -> tuple[int, int]:
    """The least and the greatest of an integer type."""
    bits = int(dtype.rpartition("int")[2])
    return (0, (1 << bits) - 1) if dtype.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)


def drawn(type: Type, name: str) -> NDArray[Any]:
    """The pseudo-random values that a name and a type have on every machine."""
    digest = sha256(f"{name}: {spelled_type(type)}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    shape = tuple(int(dimension) for dimension in type.shape)
    if is_float(type.dtype):
        values: Any = generator.standard_normal(shape)
    elif type.dtype == "bool":
        values = generator.random(shape) < 0.5
    else:
        values = generator.integers(*integer_range(type.dtype), shape, endpoint=True)
    return np.asarray(values).astype(DTYPES[type.dtype])


def spelled_type(type: Type) -> str:
    """A type as a text has it; a scalar without brackets."""
    shape = f"[{', '.join(map(str, type.shape))}]" if type.shape else ""
    return f"state({type.dtype}{shape})" if type.state else f"{type.dtype}{shape}"


def spelled_literal(literal: Nested) -> str:
    """A literal as a text has it."""
    if isinstance(literal, list):
        return f"[{', '.join(map(spelled_literal, literal))}]"
    return json.dumps(literal, ensure_ascii=False) if isinstance(literal, str) else repr(literal)

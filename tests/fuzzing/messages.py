"""Damage to a model's message, by its definition: any field of any message at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from tests.fuzzing.networks import networks
from tests.fuzzing.octets import NUMBERS
from tests.fuzzing.samples import MODEL, Sample, samples

Change: TypeAlias = Callable[[Any, FieldDescriptor, Random], None]

TEXTS = ("", "x", "y", "w", "a\nb", "a\x1b[31mb", "\0", "../..", "[/b]", "é" * 50, "n" * 100_000, "{}%s")
OP_TYPES = (
    "const",
    "linear",
    "reshape",
    "transpose",
    "cast",
    "gather",
    "matmul",
    "read_state",
    "write_state",
)
CONSTEXPR = ("lut_to_dense", "lut_to_sparse", "sparse_to_dense", "affine_dequantize", "cast", "unknown")
OP_TYPES += tuple(f"constexpr_{name}" for name in CONSTEXPR)
OP_TYPES += ("constexpr_blockwise_shift_scale", "constexpr_sparse_blockwise_shift_scale")
STORED = ("@model_path/weights/weight.bin", "@model_path/model.mlmodel", "@model_path/./weights/weight.bin")


def damaged_message(sample: Sample, random: Random) -> Sample:
    """The model with a few fields dropped, doubled, exchanged, of other types, numbers or texts."""
    model = sample.model
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        message, field = random.choice(list(_fields(model)))
        change = random.choice(_CHANGES[_kind(field)])
        change(message, field, random)
    return sample.with_file(MODEL, model.SerializeToString(deterministic=True))


def _fields(message: Any) -> Iterator[tuple[Any, FieldDescriptor]]:
    """Every field that is set, of a message and of those below it."""
    for field, value in message.ListFields():
        yield message, field
        for inner in messages_in(field, value):
            yield from _fields(inner)


def messages_in(field: FieldDescriptor, value: Any) -> list[Any]:
    """The messages that a field holds."""
    if field.message_type is None:
        return []
    if not is_repeated(field):
        return [value]
    entry = field.message_type
    if not entry.GetOptions().map_entry:
        return list(value)
    return values_of(value) if entry.fields_by_name["value"].message_type else []


def values_of(held: Any) -> list[Any]:
    """The values of a map, in the same order each time."""
    return [held[key] for key in sorted(held)]


def copy_of(message: Any) -> Any:
    """A message of its own with the same content, however deep."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field holds several values."""
    new = getattr(field, "is_repeated", None)  # releases of protobuf before 6 have the label only
    return bool(field.label == FieldDescriptor.LABEL_REPEATED if new is None else new)


def _kind(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return "map"
    if is_repeated(field):
        return "repeated"
    if field.message_type is not None:
        return "message"
    return "scalar"


def _clear(message: Any, field: FieldDescriptor, random: Random) -> None:
    message.ClearField(field.name)


def _retype(message: Any, field: FieldDescriptor, random: Random) -> None:
    """Another of the fields of which only one can be set, else none."""
    others = field.containing_oneof.fields if field.containing_oneof else [field]
    other = random.choice(others)
    message.ClearField(field.name)
    if other.message_type is not None:
        getattr(message, other.name).SetInParent()
    else:
        setattr(message, other.name, _scalar(other, getattr(message, other.name), random))


def _graft(message: Any, field: FieldDescriptor, random: Random) -> None:
    """A message of the same type from anywhere in some sample."""
    donor = random.choice(random.choice((samples(), networks()))).model
    fitting = [
        inner
        for holder, each in _fields(donor)
        for inner in messages_in(each, getattr(holder, each.name))
        if inner.DESCRIPTOR is field.message_type
    ]
    if fitting:
        getattr(message, field.name).CopyFrom(random.choice(fitting))


def _set(message: Any, field: FieldDescriptor, random: Random) -> None:
    setattr(message, field.name, _scalar(field, getattr(message, field.name), random))


def _scalar(field: FieldDescriptor, before: Any, random: Random) -> Any:
    """Another value of a field's type."""
    if field.enum_type is not None:
        return random.choice([*(v.number for v in field.enum_type.values), 77])
    if isinstance(before, bool):
        return not before
    if isinstance(before, str):
        return random.choice((*TEXTS, *STORED, *OP_TYPES, before[:-1], before + "_"))
    if isinstance(before, bytes):
        return random.choice((b"", before[:-1], before + b"\0", before * 2, b"\xff" * len(before)))
    if isinstance(before, float):
        return random.choice((0.0, -1.0, float("nan"), float("inf")))
    bits = 32 if "32" in _TYPE_NAMES[field.type] else 64
    bits -= not _TYPE_NAMES[field.type].startswith("U")
    value = random.choice((*NUMBERS, before + 1, before - 1, before + 64, before * 2))
    return value % (1 << bits)


_TYPE_NAMES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_")
    for name in vars(FieldDescriptor)
    if name.startswith("TYPE_")
}


def _drop(message: Any, field: FieldDescriptor, random: Random) -> None:
    held = getattr(message, field.name)
    del held[random.randrange(len(held))]


def _change_item(message: Any, field: FieldDescriptor, random: Random) -> None:
    held = getattr(message, field.name)
    if field.message_type is None:
        place = random.randrange(len(held))
        held[place] = _scalar(field, held[place], random)
    else:
        held[random.randrange(len(held))].CopyFrom(random.choice(held))


def _double(message: Any, field: FieldDescriptor, random: Random) -> None:
    """One of the values once more, or a new one, at the end."""
    held = getattr(message, field.name)
    times = random.choice((1, 1, 1, 60, 1000))
    if field.message_type is None:
        held.extend([random.choice(held)] * times)
    elif random.random() < 0.2:
        held.add()
    else:
        held.extend([random.choice(held)] * min(times, 60))


def _swap(message: Any, field: FieldDescriptor, random: Random) -> None:
    """Two values in each other's place."""
    held = list(getattr(message, field.name))
    copies = [copy_of(each) if field.message_type else each for each in held]
    one, other = random.randrange(len(copies)), random.randrange(len(copies))
    copies[one], copies[other] = copies[other], copies[one]
    message.ClearField(field.name)
    getattr(message, field.name).extend(copies)


def _drop_key(message: Any, field: FieldDescriptor, random: Random) -> None:
    held = getattr(message, field.name)
    del held[random.choice(sorted(held))]


def _copy_key(message: Any, field: FieldDescriptor, random: Random) -> None:
    """What stands under one key under another, too."""
    held = getattr(message, field.name)
    key = random.choice(sorted(held))
    other = random.choice((*sorted(held), *TEXTS, "val", "name", "input", "x", "weight", "lut", "shape"))
    if field.message_type.fields_by_name["value"].message_type is None:
        held[other] = held[key]
    else:
        copy = copy_of(held[key])
        held[other].CopyFrom(copy)


_CHANGES: dict[str, tuple[Change, ...]] = {
    "message": (_clear, _retype, _graft),
    "scalar": (_clear, _retype, _set, _set, _set),
    "repeated": (_clear, _drop, _double, _swap, _change_item, _change_item),
    "map": (_clear, _drop_key, _copy_key),
}

"""A copy of a model's message, without the values that will be stored anew in it.

Those are nearly all of its bytes: copying them takes as long as quantizing them.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

HOLDER = "WeightParams"


def copied(message: Any, left_out: Set[int]) -> Any:
    """A copy in which the `WeightParams` messages of these identities are empty, but for being updatable."""
    copy = type(message)()
    _copy(message, copy, left_out)
    return copy


def _copy(source: Any, copy: Any, left_out: Set[int]) -> None:
    if id(source) in left_out:
        if source.isUpdatable:
            copy.isUpdatable = True
        return
    if not _leads_to_weights(source.DESCRIPTOR) or _has_unknown_fields(source):
        copy.CopyFrom(source)
        return
    for field, value in source.ListFields():
        if field.message_type is None or not _leads_to_weights(field.message_type):
            _copy_field(field, value, copy)
        elif hasattr(value, "add"):
            held = getattr(copy, field.name)
            for each in value:
                _copy(each, held.add(), left_out)
        else:
            child = getattr(copy, field.name)
            child.SetInParent()
            _copy(value, child, left_out)


def _copy_field(field: Any, value: Any, copy: Any) -> None:
    """Copy a number, a text, a message, or several of them."""
    if field.message_type is None and not hasattr(value, "MergeFrom"):
        setattr(copy, field.name, value)
    else:
        getattr(copy, field.name).MergeFrom(value)


def _has_unknown_fields(message: Any) -> bool:
    """Whether it has fields of a later release, which only a copy of all of it keeps."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    return len(UnknownFieldSet(message)) > 0


_KNOWN: dict[str, bool] = {}


def _leads_to_weights(descriptor: Any) -> bool:
    """Whether messages of a type are, or may hold, messages with weights."""
    if descriptor.full_name not in _KNOWN:
        _KNOWN[descriptor.full_name] = HOLDER in _names_below(descriptor)
    return _KNOWN[descriptor.full_name]


def _names_below(descriptor: Any) -> set[str]:
    """The names of a type and of all that its messages may hold."""
    found, waiting = {descriptor.full_name: descriptor}, [descriptor]
    while waiting:
        for field in waiting.pop().fields:
            inner = field.message_type
            if inner is not None and inner.full_name not in found:
                found[inner.full_name] = inner
                waiting.append(inner)
    return {each.name for each in found.values()}

"""What the fields of `fit_lut` take, alone and together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import Attribute

from milpass.fitting import mode_of, modes
from milpass.granularity import PerTensor
from milpass.passes._kinds import check_granularity, one_of, refused

if TYPE_CHECKING:
    from milpass.passes.fit_lut import fit_lut


# The longest vector that an index may stand for.
LONGEST = 16


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 8


# Who chooses the number of bits (`NBITS` of a mode) -> whether a value will do, and what will do instead.
NBITS: dict[str, tuple[Callable[[object], bool], str]] = {
    "given": (_is_count, "an integer from 1 to 8"),
    "found": (lambda value: value is None, "None: this mode finds the fewest bits itself"),
    "either": (
        lambda value: value is None or _is_count(value),
        "an integer from 1 to 8, or None for the fewest that hold the table",
    ),
}


def check_mode(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what is no mode."""
    if not isinstance(value, str) or value not in modes("lut"):
        raise refused(instance, attribute, value, " or ".join(map(repr, modes("lut"))))


def check_nbits(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse a number of bits that the mode does not take."""
    will_do, needs = NBITS[mode_of("lut", instance.mode).NBITS]
    if not will_do(value):
        raise refused(instance, attribute, value, needs)


def check_groups(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse groups to a mode that looks at whole weights."""
    check_granularity(instance, attribute, value)
    if value != PerTensor():
        _check_divides(instance, attribute, value)


def check_inside(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what a table cannot be nested in."""
    one_of(None, "sparse", "affine")(instance, attribute, value)
    if value == "affine" and instance.importance is not None:
        raise refused(instance, attribute, value, "None or 'sparse' with importance")
    if value is not None and instance.per_channel_scale:
        raise refused(instance, attribute, value, "None with per_channel_scale")
    if value is not None:
        _check_divides(instance, attribute, value)
        _check_scalars(instance, attribute, value)


def _check_divides(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse parts of a weight to a mode that makes one table for the whole of it."""
    if not getattr(mode_of("lut", instance.mode), "DIVIDES", False):
        needs = f"{attribute.default!r} in mode {instance.mode!r}, which looks at whole weights"
        raise refused(instance, attribute, value, needs)


def check_scale(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse scales to a mode that cannot weigh errors."""
    one_of(False, True)(instance, attribute, value)
    if value:
        _check_best(instance, attribute, value)
        _check_scalars(instance, attribute, value)


def check_importance(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what gives no importance, or a mode that heeds none."""
    if value is None:
        return
    if not callable(value) and not _is_reference(value):
        raise refused(instance, attribute, value, "a function of a weight, or its name as 'module:name'")
    _check_best(instance, attribute, value)
    _check_scalars(instance, attribute, value)


def _check_best(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what only a search for the least error can heed."""
    if instance.mode != "kmeans":
        needs = f"{attribute.default!r} in mode {instance.mode!r}; mode 'kmeans' heeds it"
        raise refused(instance, attribute, value, needs)


def check_dim(instance: fit_lut, attribute: Attribute[Any], value: Any) -> None:
    """Refuse vectors that no index stands for."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LONGEST:
        raise refused(instance, attribute, value, f"an integer from 1 to {LONGEST}")
    if value > 1:
        _check_best(instance, attribute, value)


def _check_scalars(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what vectors cannot heed."""
    if instance.cluster_dim > 1:
        raise refused(instance, attribute, value, f"{attribute.default!r} with a cluster_dim above 1")


def check_function(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse a function where none is used, and what is none where one is."""
    if instance.mode != "custom":
        if value is not None:
            raise refused(
                instance, attribute, value, f"None in mode {instance.mode!r}; mode 'custom' uses it"
            )
    elif not callable(value) and not _is_reference(value):
        raise refused(instance, attribute, value, "a function of a weight, or its name as 'module:name'")


def _is_reference(value: object) -> bool:
    if not isinstance(value, str):
        return False
    module, colon, name = value.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))

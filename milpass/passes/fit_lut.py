"""Palettization: which table is to be fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from milpass.fitting import mode_of, modes
from milpass.granularity import Granularity, PerTensor
from milpass.passes._kinds import FittingPass, check_granularity, one_of, refused
from milpass.passes.base import Pass, described
from milpass.weight import Weight


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


def _check_mode(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or value not in modes("lut"):
        raise refused(instance, attribute, value, " or ".join(map(repr, modes("lut"))))


def _check_nbits(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    will_do, needs = NBITS[mode_of("lut", instance.mode).NBITS]
    if not will_do(value):
        raise refused(instance, attribute, value, needs)


def _check_granularity(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    check_granularity(instance, attribute, value)
    if value != PerTensor():
        _check_divides(instance, attribute, value)


def _check_inside(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    one_of(None, "sparse", "affine")(instance, attribute, value)
    if value is not None and instance.per_channel_scale:
        raise refused(instance, attribute, value, "None with per_channel_scale")
    if value is not None:
        _check_divides(instance, attribute, value)


def _check_divides(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse parts of a weight to a mode that makes one table for the whole of it."""
    if not getattr(mode_of("lut", instance.mode), "DIVIDES", False):
        needs = f"{attribute.default!r} in mode {instance.mode!r}, which looks at whole weights"
        raise refused(instance, attribute, value, needs)


def _check_scale(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    one_of(False, True)(instance, attribute, value)
    if value:
        _check_best(instance, attribute, value)


def _check_importance(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not callable(value) and not _is_reference(value):
        raise refused(instance, attribute, value, "a function of a weight, or its name as 'module:name'")
    _check_best(instance, attribute, value)


def _check_best(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
    """Refuse what only a search for the least error can heed."""
    if instance.mode != "kmeans":
        needs = f"{attribute.default!r} in mode {instance.mode!r}; mode 'kmeans' heeds it"
        raise refused(instance, attribute, value, needs)


def _check_not_yet(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    """Fields that texts may already name, and that this version carries out at their default only."""
    if type(value) is not type(attribute.default) or value != attribute.default:
        raise refused(instance, attribute, value, f"{attribute.default!r}, all that this version carries out")


def _check_function(instance: fit_lut, attribute: Attribute[Any], value: object) -> None:
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


@frozen(repr=False)
class fit_lut(FittingPass):
    """Fit a look-up table (palette) of 2**nbits entries to each selected weight.

    The table has the weight's dtype.  But for mode "custom", entries ascend and an element gets its nearest
    entry, of two equally near the lower.
    """

    mode: str = field(
        default="kmeans",
        validator=_check_mode,
        metadata=described(f"How the table is chosen: {', '.join(modes('lut'))}.", option=str, shown=True),
    )
    nbits: int | None = field(
        default=None,
        validator=_check_nbits,
        metadata=described("Bits an index; the table has 2**nbits entries.", option=int, shown=True),
    )
    granularity: Granularity = field(
        default=PerTensor(),
        validator=_check_granularity,
        metadata=described("Who shares a table: PerTensor(), PerChannel(), ..."),
    )
    cluster_dim: int = field(
        default=1, validator=_check_not_yet, metadata=described("Elements that one index stands for.")
    )
    per_channel_scale: bool = field(
        default=False,
        validator=_check_scale,
        metadata=described("Scale each output channel to 1 first, and store the scales.", option=bool),
    )
    importance: Callable[[Weight], Any] | str | None = field(
        default=None,
        validator=_check_importance,
        metadata=described(
            "What an error in each element costs: a function of a `Weight`, or 'module:name', that gives an "
            "array of its shape.",
            reference=True,
        ),
    )
    inside: str | None = field(
        default=None,
        validator=_check_inside,
        metadata=described(
            "The encoding to nest the table in: 'sparse' or 'affine'; None: the weight itself."
        ),
    )
    lut_function: Callable[[Any], Any] | str | None = field(
        default=None,
        validator=_check_function,
        metadata=described(
            "For mode custom: a function of a weight, or 'module:name', that gives the table, alone or as "
            "(table, indices).",
            reference=True,
        ),
    )

    encoding: ClassVar[str] = "lut"

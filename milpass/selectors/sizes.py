"""Selectors that go by a weight's shape and type."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

from milpass.errors import UsageError
from milpass.selectors.language import Selector, refused
from milpass.weight import ITEMSIZES, Weight


def is_count(value: object) -> bool:
    """Whether a value is an integer of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_bound(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if value is not None and not is_count(value):
        raise refused(instance, attribute, value, "an integer of at least 0, or None")


def _check_lengths(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not all(each is None or is_count(each) for each in value):
        raise refused(instance, attribute, value, "lengths such as (None, 768), None for any")


def _check_type(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if value not in ITEMSIZES:
        raise refused(instance, attribute, value, f"one of {', '.join(map(repr, ITEMSIZES))}")


def _lengths(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


@frozen(repr=False)
class Range(Selector):
    """A selector that compares a number with bounds, both inclusive."""

    min: int | None = field(default=None, validator=_check_bound, kw_only=True)
    max: int | None = field(default=None, validator=_check_bound, kw_only=True)

    def _spans(self, number: int) -> bool:
        return (self.min is None or number >= self.min) and (self.max is None or number <= self.max)

    def _arguments(self) -> list[str]:
        bounds = {"min": self.min, "max": self.max}
        return [f"{key}={value}" for key, value in bounds.items() if value is not None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"


class size(Range):
    """Constants with at least `min` and at most `max` elements."""

    def holds(self, weight: Weight) -> bool:
        return self._spans(weight.size)


class kernel_channels(Range):
    """Constants with so many channels along the axis of the input channels, `min` to `max`.

    Those of a convolution's kernel are its input channels in one group: 1 where it is depthwise.  Constants
    whose readers do not tell that axis, as biases, have none.
    """

    def holds(self, weight: Weight) -> bool:
        axis = weight.channels.input
        return axis is not None and self._spans(weight.shape[axis])


class output_channels(Range):
    """Constants with so many channels along the axis of the output channels, `min` to `max`.

    Constants whose readers do not tell that axis, as biases, have none.
    """

    def holds(self, weight: Weight) -> bool:
        axis = weight.channels.output
        return axis is not None and self._spans(weight.shape[axis])


@frozen(repr=False)
class rank(Range):
    """Constants with so many axes, exactly or at least `min` and at most `max`."""

    exactly: int | None = field(default=None, validator=_check_bound)

    def __attrs_post_init__(self) -> None:
        if self.exactly is not None and (self.min is not None or self.max is not None):
            raise UsageError(
                "rank",
                who="rank",
                cannot="count axes",
                got=f"{self.exactly} and bounds",
                needs="one number, or min and max",
            )

    def holds(self, weight: Weight) -> bool:
        return self._spans(weight.rank) if self.exactly is None else weight.rank == self.exactly

    def _arguments(self) -> list[str]:
        return super()._arguments() if self.exactly is None else [str(self.exactly)]


@frozen(repr=False)
class shape(Selector):
    """Constants of this shape; None stands for any length, as in `shape((None, 768))`."""

    lengths: tuple[int | None, ...] = field(converter=_lengths, validator=_check_lengths)

    def holds(self, weight: Weight) -> bool:
        pairs = zip(self.lengths, weight.shape, strict=False)
        return len(self.lengths) == weight.rank and all(n is None or n == length for n, length in pairs)

    def __repr__(self) -> str:
        return f"shape({self.lengths!r})"


@frozen(repr=False)
class dtype(Selector):
    """Constants of this type: "fp16", "bf16", "fp32" or "fp64"."""

    type: str = field(validator=_check_type)

    def holds(self, weight: Weight) -> bool:
        return weight.dtype == self.type

    def __repr__(self) -> str:
        return f"dtype({self.type!r})"

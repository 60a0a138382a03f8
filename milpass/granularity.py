"""Who shares parameters: how many tables or scales a weight has, and along which axes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import isqrt
from typing import Any

from attrs import Attribute, AttrsInstance, field, fields, frozen

from milpass.errors import UsageError


@frozen
class Channels:
    """The axes along which a weight's output and input channels lie; `why` they are unknown, if so.

    `is_one` says that all of it counts as one channel.
    """

    output: int | None = None
    input: int | None = None
    why: str = "no operation that uses it tells which axis has its channels"
    is_one: bool = False


class Ungroupable(Exception):
    """A weight that cannot be grouped as asked for; the message is the reason."""


def _check_axis(instance: Granularity, attribute: Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise _refused(instance, attribute, value, "an integer, or None for the axis of the output channels")


def _check_size(instance: Granularity, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _refused(instance, attribute, value, "an integer of at least 1")


def _check_sizes(instance: Granularity, attribute: Attribute[Any], value: object) -> None:
    several = value if isinstance(value, tuple) else (value,)
    least = 0 if isinstance(value, tuple) else 1
    if not several or any(not isinstance(n, int) or isinstance(n, bool) or n < least for n in several):
        raise _refused(
            instance,
            attribute,
            value,
            "the length of a block along the input channels, or a tuple of one length an axis (0: all of it)",
        )


def _refused(instance: Granularity, attribute: Attribute[Any], value: object, needs: str) -> UsageError:
    name = type(instance).__name__
    return UsageError(
        f"{attribute.name} of {name}", who=name, cannot="group weights", got=repr(value), needs=needs
    )


class Granularity(AttrsInstance, ABC):
    """How the elements of a weight are grouped under shared parameters."""

    @abstractmethod
    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """The number of groups along each axis of a weight of `shape`, which they divide evenly.

        Raises `Ungroupable` with the reason where there is no such grouping.
        """

    def __repr__(self) -> str:
        shown = [each for each in fields(type(self)) if getattr(self, each.name) != each.default]
        return f"{type(self).__name__}({', '.join(f'{a.name}={getattr(self, a.name)!r}' for a in shown)})"


@frozen(repr=False)
class PerTensor(Granularity):
    """One group: the whole weight.

    [A, B] -> [1, 1]
    """

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """One group along every axis."""
        return (1,) * len(shape)


@frozen(repr=False)
class PerChannel(Granularity):
    """A group for each channel along `axis`, that of the output channels where it is None.

    [A, B], axis 0 -> [A, 1]
    """

    axis: int | None = field(default=None, validator=_check_axis)

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """As many groups as channels along the axis, one along the others."""
        if self.axis is None and channels.is_one:
            return (1,) * len(shape)
        axis = _axis(self.axis, channels.output, shape, channels)
        return _along(axis, shape[axis], shape)


@frozen(repr=False)
class PerGroupedChannel(Granularity):
    """A group for every `group_size` neighbouring channels along `axis`, the output's where it is None.

    [A, B], axis 0 -> [A / group_size, 1]
    """

    group_size: int = field(validator=_check_size)
    axis: int | None = field(default=None, validator=_check_axis)

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """The channels along the axis over the group size, one along the others."""
        axis = _axis(self.axis, channels.output, shape, channels)
        return _along(axis, _divided(self.group_size, axis, shape), shape)


@frozen(repr=False)
class PerBlock(Granularity):
    """A group for every block of `sizes`: one length an axis, 0 for the whole axis.

    An integer is the length along the input channels, each output channel by itself.
    [A, B], 32 along axis 1 -> [A, B / 32]
    """

    sizes: int | tuple[int, ...] = field(validator=_check_sizes)

    def groups(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """The weight's length over the block's, along each axis."""
        sizes = self.sizes if isinstance(self.sizes, tuple) else self._sizes(shape, channels)
        if len(sizes) != len(shape):
            raise Ungroupable(f"blocks of {len(sizes)} axes for a weight of {len(shape)}")
        return tuple(_divided(size, axis, shape) if size else 1 for axis, size in enumerate(sizes))

    def _sizes(self, shape: tuple[int, ...], channels: Channels) -> tuple[int, ...]:
        """Along the input channels, for each output channel."""
        assert isinstance(self.sizes, int)
        output = _axis(None, channels.output, shape, channels)
        input_axis = _axis(None, channels.input, shape, channels)
        sizes = [0] * len(shape)
        sizes[output], sizes[input_axis] = 1, self.sizes
        return tuple(sizes)


def _axis(asked: int | None, known: int | None, shape: tuple[int, ...], channels: Channels) -> int:
    """The axis asked for, or else the one that the readers tell."""
    if asked is None:
        if known is None:
            raise Ungroupable(f"{channels.why}; name the axis")
        return known
    if not -len(shape) <= asked < len(shape):
        raise Ungroupable(f"axis {asked} of a weight of rank {len(shape)}")
    return asked % len(shape)


def _along(axis: int, count: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(count if place == axis else 1 for place in range(len(shape)))


def _divided(size: int, axis: int, shape: tuple[int, ...]) -> int:
    """How many groups of a size an axis has; a reason with the nearest sizes where it has a rest."""
    length = shape[axis]
    if length % size == 0:
        return length // size
    low = [n for n in range(1, isqrt(length) + 1) if length % n == 0]
    fitting = sorted({*low, *(length // n for n in low)})
    nearest = [max(n for n in fitting if n < size), *(n for n in fitting if n > size)][:2]
    raise Ungroupable(
        f"groups of {size} do not divide the {length} channels of axis {axis}: "
        f"{' or '.join(map(str, nearest))} do"
    )


GRANULARITIES: dict[str, type[Granularity]] = {
    kind.__name__: kind for kind in (PerTensor, PerChannel, PerGroupedChannel, PerBlock)
}

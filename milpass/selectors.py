"""Which weights: predicates that combine with `&`, `|`, `~` and print as the text that makes them.

A namespace of its own: `from milpass.selectors import is_weight, op_type, name`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from attrs import Attribute, field, frozen

from milpass.errors import UsageError
from milpass.roles import WEIGHT_ROLES
from milpass.weight import Weight


class Selector(ABC):
    """A predicate on a weight."""

    # How tightly the text binds, as in Python: | loosest, then &, then ~ and words.
    binding: ClassVar[int] = 3

    @abstractmethod
    def holds(self, weight: Weight) -> bool:
        """Whether the selector chooses this weight."""

    def __and__(self, other: Selector) -> Selector:
        return _combined(_And, self, other)

    def __or__(self, other: Selector) -> Selector:
        return _combined(_Or, self, other)

    def __invert__(self) -> Selector:
        return _Not(self)


def _combined(kind: type[_Joined], left: Selector, right: object) -> Selector:
    """Two selectors joined; anything else on the right is refused in words."""
    if not isinstance(right, Selector):
        raise UsageError(
            repr(left),
            who=f"`{kind.sign}`",
            cannot="join a selector with something else",
            got=repr(right),
            needs="a selector on either side",
        )
    return kind((*left.parts, right) if isinstance(left, kind) else (left, right))


def _bracketed(selector: Selector, binding: int) -> str:
    """The selector's text, in brackets where it binds less tightly than its place demands."""
    return f"({selector!r})" if selector.binding < binding else repr(selector)


@frozen(repr=False)
class _Joined(Selector):
    """Selectors in a row under one sign."""

    parts: tuple[Selector, ...]
    sign: ClassVar[str]

    def __repr__(self) -> str:
        first, *others = self.parts
        texts = [_bracketed(first, self.binding), *(_bracketed(o, self.binding + 1) for o in others)]
        return f" {self.sign} ".join(texts)


class _And(_Joined):
    sign = "&"
    binding = 2

    def holds(self, weight: Weight) -> bool:
        return all(part.holds(weight) for part in self.parts)


class _Or(_Joined):
    sign = "|"
    binding = 1

    def holds(self, weight: Weight) -> bool:
        return any(part.holds(weight) for part in self.parts)


@frozen(repr=False)
class _Not(Selector):
    inner: Selector

    def holds(self, weight: Weight) -> bool:
        return not self.inner.holds(weight)

    def __repr__(self) -> str:
        return f"~{_bracketed(self.inner, 3)}"


@frozen(repr=False)
class _Bare(Selector):
    """A selector without arguments, written bare or called."""

    def __call__(self) -> Selector:
        return self

    def __repr__(self) -> str:
        return type(self).__name__.lstrip("_")


class _anything(_Bare):
    def holds(self, weight: Weight) -> bool:
        return True


class _is_weight(_Bare):
    def holds(self, weight: Weight) -> bool:
        return any(reader.role in WEIGHT_ROLES for reader in weight.readers)


anything = _anything()
"""Every constant that may be compressed at all."""

is_weight = _is_weight()
"""Constants that some reader uses as its weight or embedding table, directly or through cast, transpose,
reshape, squeeze, expand_dims; never biases, norms, masks or slopes."""


def _check_pattern(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise _refused(instance, attribute, value, "a glob such as 'conv*'")


def _check_bound(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise _refused(instance, attribute, value, "an integer of at least 0, or None")


def _refused(instance: Selector, attribute: Attribute[Any], value: object, needs: str) -> UsageError:
    kind = type(instance).__name__
    return UsageError(
        f"{attribute.name} of {kind}", who=kind, cannot="compare with it", got=repr(value), needs=needs
    )


@frozen(repr=False)
class _Glob(Selector):
    pattern: str = field(validator=_check_pattern)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pattern!r})"


class op_type(_Glob):
    """Constants read by an operation of this type (a glob), directly or through rearranging operations."""

    def holds(self, weight: Weight) -> bool:
        return any(
            fnmatchcase(kind, self.pattern)
            for reader in weight.readers
            for kind in (reader.op_type, *reader.through)
        )


class op_name(_Glob):
    """Constants read by an operation whose name matches the glob."""

    def holds(self, weight: Weight) -> bool:
        return any(fnmatchcase(reader.op_name, self.pattern) for reader in weight.readers)


class name(_Glob):
    """Constants whose name matches the glob, in the source's spelling or the exported one.

    A converter makes `layers_0_weight` of `layers.0.weight`, and in fp16 `layers_0_weight_to_fp16`:
    each of the three matches.
    """

    def holds(self, weight: Weight) -> bool:
        exported = self.pattern.replace(".", "_").replace("/", "_")
        names = {weight.name, weight.name.removesuffix("_to_fp16")}
        return any(fnmatchcase(n, p) for n in names for p in {self.pattern, exported})


@frozen(repr=False)
class size(Selector):
    """Constants with at least `min` and at most `max` elements."""

    min: int | None = field(default=None, validator=_check_bound, kw_only=True)
    max: int | None = field(default=None, validator=_check_bound, kw_only=True)

    def holds(self, weight: Weight) -> bool:
        return (self.min is None or weight.size >= self.min) and (self.max is None or weight.size <= self.max)

    def __repr__(self) -> str:
        bounds = {"min": self.min, "max": self.max}
        return f"size({', '.join(f'{k}={v}' for k, v in bounds.items() if v is not None)})"


# The words of a pipeline's text.
SELECTORS: dict[str, Selector | type[Selector]] = {
    "is_weight": is_weight,
    "anything": anything,
    "op_type": op_type,
    "name": name,
    "op_name": op_name,
    "size": size,
}

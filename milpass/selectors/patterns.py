"""Selectors that go by names: globs, and regular expressions."""

from __future__ import annotations

import re
from abc import abstractmethod
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from attrs import Attribute, define, field, frozen

from milpass.errors import UsageError
from milpass.selectors.language import Selector, refused
from milpass.weight import Weight


def _check_glob(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise refused(instance, attribute, value, "a glob such as 'conv*'")


def _check_expression(instance: Selector, attribute: Attribute[Any], value: object) -> None:
    needs = r"a regular expression such as 'layers_\d+_weight'"
    if not isinstance(value, str):
        raise refused(instance, attribute, value, needs)
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise refused(instance, attribute, value, f"{needs} ({error})") from None


def names(weight: Weight) -> set[str]:
    """The names by which a weight may be called: as in the source or exported, with or without `_to_fp16`."""
    given = {weight.name, weight.name.removesuffix("_to_fp16")}
    return given | set(map(exported, given))


def placed(weight: Weight, pattern: str) -> set[str]:
    """The names after the place of the weight's model in a pipeline of models, if a pattern may mean it."""
    member = weight.key.member
    return {f"{member}/{each}" for each in names(weight)} if member and "/" in pattern else set()


def exported(text: str) -> str:
    """A name as converters export it: whatever is no letter, digit or underscore becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)


class Pattern(Selector):
    """A selector that compares texts of a weight with a pattern."""

    pattern: str

    @abstractmethod
    def texts(self, weight: Weight) -> set[str]:
        """What is compared with the pattern."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pattern!r})"


@frozen(repr=False)
class Glob(Pattern):
    """A selector whose pattern is a glob."""

    pattern: str = field(validator=_check_glob)

    def holds(self, weight: Weight) -> bool:
        return any(fnmatchcase(text, self.pattern) for text in self.texts(weight))


class op_type(Glob):
    """Constants read by an operation of this type (a glob), directly or through rearranging operations."""

    def texts(self, weight: Weight) -> set[str]:
        return {kind for reader in weight.readers for kind in (reader.op_type, *reader.through)}


class layer_type(op_type):
    """Constants that a layer of this type (a glob) holds or reads: `op_type`, as neural networks call it."""


class op_name(Glob):
    """Constants read by an operation whose name matches the glob."""

    def texts(self, weight: Weight) -> set[str]:
        given = {reader.op_name for reader in weight.readers}
        return given | set(map(exported, given))


class name(Glob):
    """Constants whose name matches the glob, in the source's spelling or the exported one.

    A converter makes `layers_0_weight` of `layers.0.weight`, and in fp16 `layers_0_weight_to_fp16`:
    each of the three matches.  In a pipeline of models `encoder/*` matches all constants of its model
    `encoder`.
    """

    def texts(self, weight: Weight) -> set[str]:
        return names(weight) | placed(weight, self.pattern)

    def holds(self, weight: Weight) -> bool:
        undotted = self.pattern.replace(".", "_")
        patterns = {self.pattern, undotted, undotted.replace("/", "_")}
        return any(fnmatchcase(n, p) for n in self.texts(weight) for p in patterns)


@define(frozen=True, repr=False, slots=False)
class matches(Pattern):
    r"""Constants in whose name the regular expression is found, anywhere unless anchored by `^` and `$`.

    The name is the exported one: `layers.\d+.weight` finds `layers_0_weight` and `layers_0_weight_to_fp16`.
    In a pipeline of models an expression with a slash may ask for the model, too, as in `^encoder/`.
    """

    pattern: str = field(validator=_check_expression)

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def texts(self, weight: Weight) -> set[str]:
        return names(weight) | placed(weight, self.pattern)

    def holds(self, weight: Weight) -> bool:
        try:
            return any(self._expression.search(text) for text in self.texts(weight))
        except RecursionError as error:
            raise UsageError(
                repr(self), who="matches", cannot="search", got=str(error), needs="a simpler expression"
            ) from None


class module(Glob):
    """Constants that a module of the source uses whose path matches the glob, or one inside it.

    Paths are those of a torch module, such as "encoder.layers.0"; they are known inside a conversion only.
    """

    def texts(self, weight: Weight) -> set[str]:
        if weight.modules is None:
            raise UsageError(
                repr(self),
                who="module",
                cannot="find modules",
                got="a model that keeps no record of them",
                needs="a program inside a conversion",
                remedy="Converters do not export them; choose by name(...) or op_name(...) instead",
            )
        return set(weight.modules)

    def holds(self, weight: Weight) -> bool:
        patterns = (self.pattern, f"{self.pattern}.*")
        return any(fnmatchcase(text, pattern) for text in self.texts(weight) for pattern in patterns)

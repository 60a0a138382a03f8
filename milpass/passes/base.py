"""What every pass is: a frozen value that folds a plan into the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import Attribute, AttrsInstance, fields, has

from milpass.errors import UsageError
from milpass.plan import Plan
from milpass.selectors import Selector, as_selector
from milpass.selectors.language import Bare

if TYPE_CHECKING:
    from milpass.pipeline import Pipeline


class Pass(AttrsInstance, ABC):
    """A pass: its fields are constructor, text and options at once; it reads no weight and edits no model."""

    # Whether it marks weights to be stored.
    replaces: ClassVar[bool] = False

    @abstractmethod
    def fold(self, plan: Plan) -> Plan:
        """The plan after this pass; pure."""

    def misses(self, plan: Plan) -> Iterator[str]:
        """A sentence for each name or pattern of its selectors that matches nothing in the model."""
        values = (getattr(self, each.name) for each in fields(type(self)))
        named = [value for value in values if isinstance(value, Selector) and not isinstance(value, Bare)]
        if named:
            from milpass.selectors import unmatched  # loads all that has patterns

            weights = [row.weight for row in plan.rows]
            for selector in named:
                yield from unmatched(selector, weights)

    def references(self) -> tuple[str, ...]:
        """The functions that its fields name as `module:name`."""
        values = (getattr(self, each.name) for each in fields(type(self)) if each.metadata.get("reference"))
        return tuple(value for value in values if isinstance(value, str))

    def __or__(self, other: Pass | Pipeline) -> Pipeline:
        from milpass.pipeline import Pipeline  # the one edge upwards: a pass alone is a pipeline of one

        return Pipeline(self, other)

    def plan(self, model: Any, *, target: str | None = None, strict: bool = False) -> Plan:
        """What a pipeline of this pass alone would do; see `Pipeline.plan`."""
        return self._alone().plan(model, target=target, strict=strict)

    def to_coremltools(self, base: Any = None, *, strict: bool = False) -> Any:
        """A coremltools `PassPipeline` with this pass alone; see `Pipeline.to_coremltools`."""
        return self._alone().to_coremltools(base, strict=strict)

    def _alone(self) -> Pipeline:
        from milpass.pipeline import Pipeline

        return Pipeline(self)

    def __repr__(self) -> str:
        if not has(type(self)):
            return object.__repr__(self)
        shown = [
            f"{each.name}={as_selector(getattr(self, each.name))!r}"
            for each in fields(type(self))
            if each.metadata.get("shown") or getattr(self, each.name) != each.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def described(
    help: str, *, option: type | None = None, shown: bool = False, reference: bool = False
) -> dict[str, Any]:
    """The metadata of a field.

    Its help, its type where it is a command option, whether texts always state it, and whether it may name
    a function as `module:name`.
    """
    return {"help": help, "option": option, "shown": shown, "reference": reference}


def choosing(help: str) -> dict[str, Any]:
    """What makes a field take a selector, or a function of a weight."""
    return {"converter": as_selector, "validator": _check_selector, "metadata": described(help)}


def _check_selector(instance: Pass, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Selector):
        raise UsageError(
            argument(attribute, instance),
            who=type(instance).__name__,
            cannot="choose weights",
            got=repr(value),
            needs="a selector such as is_weight, anything or op_type('linear')",
            remedy=f"Call it: {value!r}(...)" if getattr(value, "needs_call", False) else None,
        )


def argument(attribute: Attribute[Any], instance: Pass) -> str:
    """How an error names a field of a pass."""
    return f"{attribute.name} of {type(instance).__name__}"

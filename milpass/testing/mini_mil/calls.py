"""Calls of operations: which operation it is, and its arguments as coremltools' builder takes them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeAlias

from attrs import frozen

from milpass.errors import UsageError
from milpass.testing.mini_mil.inputs import inline_value
from milpass.testing.mini_mil.lifting import block_inputs
from milpass.testing.mini_mil.mil import mil
from milpass.testing.mini_mil.syntax import Call, Definition, Name, Operand, Place, Several

# What names stand for: a value of the builder, or the nested block of a `def`.
Scope: TypeAlias = dict[str, Any]


def built(build: Callable[[], Any], place: Place, needs: str) -> Any:
    """What coremltools builds; raises `UsageError` with what it says against it."""
    try:
        return build()
    except UsageError:
        raise
    except Exception as error:
        got = " ".join(str(error).split()) or type(error).__name__
        raise place.refusal("build it", got, needs) from error


def value_of(name: str, scope: Scope, place: Place) -> Any:
    """The value of the builder that a name stands for; raises `UsageError` where it stands for none."""
    if name in scope and not isinstance(scope[name], Definition):
        return scope[name]
    near = get_close_matches(name, scope, n=1)
    remedy = f"Did you mean `{near[0]}`" if near and near[0] != name else None
    raise place.refusal("find a value", f"`{name}`", "the name of an earlier value", remedy)


def operation_of(call: Call) -> Any:
    """The operation's class in the opset of the function that is being built."""
    registry = mil().ops.registry.SSAOpRegistry
    words = [*registry.core_ops, *registry.dialect_ops, *registry.custom_ops]
    if call.op_type not in words or call.op_type.startswith("_"):
        near = get_close_matches(call.op_type, words, n=1)
        remedy = f"Did you mean `{near[0]}`" if near else None
        raise call.place.refusal(
            "find the operation", f"`{call.op_type}`", "an operation of coremltools", remedy
        )
    for others in (registry.dialect_ops, registry.custom_ops):
        if call.op_type in others:
            return others[call.op_type]
    needs = "an operation of the opset"
    return built(lambda: registry._get_core_op_cls(call.op_type), call.place, needs)


@frozen
class Arguments:
    """The arguments of one call as the builder takes them."""

    call: Call
    operation: Any
    scope: Scope
    build_block: Callable[[Definition, Scope], list[Any]]

    def values(self) -> dict[str, Any]:
        """The value of each input; refuses inputs that the operation does not have."""
        known = self.operation.input_spec.input_types
        for name in self.call.arguments:
            if name not in known:
                needs = f"inputs of `{self.call.op_type}`: {', '.join(known)}"
                raise self.call.place.refusal("read the arguments", f"`{name}`", needs)
        named = {name: self._named(operand) for name, operand in self.call.arguments.items()}
        self._agree([value for value in named.values() if isinstance(value, Definition)])
        return {name: self._input(name, named) for name in named}

    def _named(self, operand: Operand) -> Any:
        """What names stand for in an operand, everything else as it is."""
        if isinstance(operand, Several):
            return tuple(map(self._named, operand.values))
        if not isinstance(operand, Name):
            return operand
        value = self.scope.get(operand.name)
        return value if isinstance(value, Definition) else value_of(operand.name, self.scope, self.call.place)

    def _agree(self, blocks: list[Definition]) -> None:
        """Refuse blocks of one operation with differing parameters, which coremltools makes only once."""
        if len({tuple(block.parameters) for block in blocks}) > 1:
            got = " and ".join(f"{block.name}({', '.join(block.parameters)})" for block in blocks)
            raise self.call.place.refusal(
                "build the blocks", got, "the same names of parameters in all of them"
            )

    def _input(self, name: str, named: dict[str, Any]) -> Any:
        value = named[name]
        is_block = name in block_inputs(self.operation)
        if isinstance(value, Definition) != is_block:
            needs = "a nested `def`" if is_block else "a value"
            raise self.call.place.refusal("read the arguments", f"`{name}`", f"{needs} for it")
        if isinstance(value, Definition):
            return self._callback(value)
        return inline_value(self.call, self.operation, name, named, self.scope)

    def _callback(self, block: Definition) -> Callable[..., Any]:
        """The function that builds a block; coremltools calls it more than once for loops."""

        def build(*inputs: Any) -> Any:
            if len(inputs) != len(block.parameters):
                got = f"{len(block.parameters)} parameters"
                raise block.place.refusal("build the block", got, f"{len(inputs)}")
            for name, var in zip(block.parameters, inputs, strict=True):
                var.name = name
            outputs = self.build_block(
                block, {**self.scope, **dict(zip(block.parameters, inputs, strict=True))}
            )
            return outputs if len(outputs) > 1 else outputs[0]

        return build

"""From a syntax tree to a coremltools program, by coremltools' own builder."""

from __future__ import annotations

from functools import partial
from typing import Any

from milpass.testing.mini_mil.calls import Arguments, Scope, built, operation_of, value_of
from milpass.testing.mini_mil.inputs import constant_value
from milpass.testing.mini_mil.lifting import block_inputs
from milpass.testing.mini_mil.mil import mil, target
from milpass.testing.mini_mil.parsing import parse
from milpass.testing.mini_mil.syntax import Call, Constant, Definition, Name, Several, Type


def read_program(text: str) -> Any:
    """The coremltools `Program` of a text; raises `UsageError` with the line where there is none.

    Values, constants and blocks have the names of the text; `milpass.testing.mini_mil.naming` says how it
    spells those that are no names of Python.  A literal has the type of the operands that its input must
    agree with, else the type that its input takes, else Python's: fp32, int32, bool, string.
    """
    definitions = parse(text)
    program = mil().Program()
    for definition in definitions:
        function = _function(definition)
        add = partial(program.add_function, definition.name, function)
        built(add, definition.place, "functions of one opset")
    if "main" not in program.functions:
        program.default_function_name = definitions[0].name
    return program


def _function(definition: Definition) -> Any:
    opset = target(str(definition.opset))
    if opset is None:
        raise definition.place.refusal(
            "build it", f"@{definition.opset}", "a coremltools that has this opset"
        )
    symbols: Scope = {}
    inputs = {name: _input(kind, symbols, definition) for name, kind in definition.parameters.items() if kind}
    with mil().Function(inputs, opset) as function:
        function.set_outputs(_block(definition, dict(function.inputs)))
    return function


def _input(kind: Type, symbols: Scope, definition: Definition) -> Any:
    """A placeholder of the builder; dimensions of one name in one function are one symbol."""
    shape = [
        symbols.setdefault(size, mil().get_new_symbol()) if isinstance(size, str) else size
        for size in kind.shape
    ]
    dtype = mil().types.string_to_builtin(kind.dtype)
    needs = "a type that an input can have"
    if kind.state:
        make = mil().Builder.state_tensor_placeholder
        return built(lambda: make(shape, dtype), definition.place, needs)
    return built(lambda: mil().Placeholder(shape, dtype, allow_rank0_input=True), definition.place, needs)


def _block(definition: Definition, scope: Scope) -> list[Any]:
    """Build the statements of a block where the builder stands; its outputs."""
    for statement in definition.body:
        if isinstance(statement, Constant):
            make = partial(mil().Builder.const, val=constant_value(statement), name=statement.name)
            scope[statement.name] = built(make, statement.place, "values")
        elif isinstance(statement, Call):
            _call(statement, scope)
        else:
            scope[statement.name] = statement
    return [value_of(name, scope, definition.place) for name in definition.outputs]


def _call(call: Call, scope: Scope) -> None:
    operation = operation_of(call)
    arguments = Arguments(call, operation, scope, _block).values()
    build = getattr(mil().Builder, call.op_type)
    needs = f"the inputs of `{call.op_type}`: {', '.join(operation.input_spec.input_types)}"
    made = built(lambda: build(name=call.outputs[0], **arguments), call.place, needs)
    results = list(made) if isinstance(made, list | tuple) else [made]
    if len(results) != len(call.outputs):
        raise call.place.refusal("name the results", f"{len(call.outputs)} names", f"{len(results)}")
    for name, var in zip(call.outputs, results, strict=True):
        var.name = name
    _name_constants(results[0].op, call)
    scope.update(zip(call.outputs, results, strict=True))
    for name, block in zip(block_inputs(operation), results[0].op.blocks, strict=False):
        operand = call.arguments[name]
        block.name = operand.name if isinstance(operand, Name) else block.name


def _name_constants(operation: Any, call: Call) -> None:
    """Name the constants that the builder made for literals and defaults: it numbers them through.

    A name would otherwise depend on how many programs were read before.
    """
    for name, value in operation.inputs.items():
        given = call.arguments.get(name)
        for number, var in enumerate(value if isinstance(value, list | tuple) else (value,)):
            if var.op is None or var.op.op_type != "const" or isinstance(given, Name | Several):
                continue
            var.name = var.op.name = f"{call.outputs[0]}_{name}_{number}"

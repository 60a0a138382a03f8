"""What must hold of a program before anything in it is looked at: names, nesting."""

from __future__ import annotations

from collections import Counter
from typing import Any

from milpass.targets.survey import Survey

# Core ML's own chains have three links.
MAX_NESTING = 8
# protobuf reads 100 messages one inside another: a block takes two, a pipeline around a program three; what
# is compressed has a few more than a plain constant.
MAX_BLOCKS = 40


def unsound_functions(program: Any, *, alone: bool) -> str | None:
    """A function without the block that it runs, in words; None where there is none.

    In a pipeline, where the program is not `alone`, a slash would make its name that of another member's.
    """
    for name in sorted(program.functions):
        if "/" in name and not alone:
            return f"a function named {name!r} in a pipeline"
        function = program.functions[name]
        if function.opset not in function.block_specializations:
            return f"function {name!r} without a block for its opset {function.opset!r}"
    return None


def unsound_constants(survey: Survey) -> str | None:
    """A constant that cannot be told from another result, or that is nested too deep; None without one."""
    keys = Counter(definition.key for definition in survey.definitions)
    depths: dict[int, int] = {}
    for op in survey.operations:
        if len(op.at.block) + 2 * op.at.function.count("/") > MAX_BLOCKS:
            return f"blocks one inside another, more than {MAX_BLOCKS} deep"
        if not (op.type == "const" or op.decompresses):
            continue
        if twice := next((result.key.name for result in op.results if keys[result.key] > 1), None):
            return f"several results named {twice!r} in one block"
        if op.type == "const" and len(op.results) > 1:
            return f"a constant of {len(op.results)} results, {op.results[0].key.name!r} the first"
        depths[id(op)] = 1 + max((depths.get(id(each.op), 0) for each in op.sources.values()), default=0)
        if depths[id(op)] > MAX_NESTING and op.decompresses:
            return f"constants compressed one inside another, more than {MAX_NESTING} deep"
    return None

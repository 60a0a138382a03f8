"""Opsets of ML Programs: which format a program has, and what raising it to a later one needs."""

from __future__ import annotations

from typing import Any

# format -> (specification version, opset)
OPSETS: dict[str, tuple[int, str]] = {
    "iOS15": (6, "CoreML5"),
    "iOS16": (7, "CoreML6"),
    "iOS17": (8, "CoreML7"),
    "iOS18": (9, "CoreML8"),
    "iOS26": (10, "CoreML9"),
}

# Operations that a format defines anew, so that a program of the one before may mean another thing in it.
REDEFINED: dict[str, frozenset[str]] = {
    "iOS16": frozenset(
        {
            "crop_resize",
            "gather",
            "gather_along_axis",
            "gather_nd",
            "resample",
            "topk",
            "upsample_bilinear",
        }
    ),
    "iOS17": frozenset(
        {
            "crop_resize",
            "gather",
            "gather_along_axis",
            "gather_nd",
            "non_maximum_suppression",
            "reduce_argmax",
            "reduce_argmin",
            "scatter",
            "scatter_along_axis",
            "scatter_nd",
            "topk",
        }
    ),
    "iOS18": frozenset({"gru"}),
    "iOS26": frozenset(),
}


def redefined(source: str, format: str) -> frozenset[str]:
    """The operations that a format, or one between it and the source's, defines anew."""
    releases = list(OPSETS)
    if source not in releases:
        return frozenset()
    steps = releases[releases.index(source) + 1 : releases.index(format) + 1]
    return frozenset().union(*(REDEFINED[step] for step in steps))


def program_format(program: Any) -> str:
    """The format of a program's functions, or their opsets where they have no common known one."""
    opsets = sorted({function.opset for function in program.functions.values()})
    for name, (_, opset) in OPSETS.items():
        if opsets == [opset]:
            return name
    return " and ".join(opsets)


def hindrance(program: Any, op_types: set[str], format: str) -> str | None:
    """Why a program with operations of these types cannot be raised to a later format, None where it can."""
    source = program_format(program)
    if source not in OPSETS:
        return f"{source} is no release that milpass knows"
    if any(len(each.block_specializations) > 1 for each in program.functions.values()):
        return "the model has functions of several opsets"
    ops = sorted(op_types & redefined(source, format))
    return f"{format} defines anew {', '.join(ops)}, which the model uses" if ops else None


def raise_to(model: Any, format: str) -> None:
    """Make the model one of a later format, its operations as they are."""
    version, opset = OPSETS[format]
    model.specificationVersion = max(model.specificationVersion, version)
    for function in model.mlProgram.functions.values():
        block = function.block_specializations[function.opset]
        function.block_specializations[opset].CopyFrom(block)
        del function.block_specializations[function.opset]
        function.opset = opset

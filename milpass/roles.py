"""What an operation uses an input for: the only place that knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

# The value of a small constant operand by the input's name, None where it is none.
Operands: TypeAlias = Callable[[str], Any]
# The axes of output and of input channels; negative ones count from the end.
Axes: TypeAlias = tuple[int, int]

WEIGHT_ROLES = frozenset({"weight", "embedding"})

# (operation type, input) -> role
TABLE: dict[tuple[str, str], str] = {
    ("conv", "weight"): "weight",
    ("conv", "bias"): "bias",
    ("conv_transpose", "weight"): "weight",
    ("conv_transpose", "bias"): "bias",
    ("linear", "weight"): "weight",
    ("linear", "bias"): "bias",
    ("matmul", "x"): "weight",
    ("matmul", "y"): "weight",
    ("einsum", "values"): "weight",
    ("gather", "x"): "embedding",
    ("lstm", "weight_ih"): "weight",
    ("lstm", "weight_hh"): "weight",
    ("lstm", "weight_ih_back"): "weight",
    ("lstm", "weight_hh_back"): "weight",
    ("lstm", "bias"): "bias",
    ("lstm", "bias_back"): "bias",
    ("lstm", "peephole"): "bias",
    ("lstm", "peephole_back"): "bias",
    ("gru", "weight_ih"): "weight",
    ("gru", "weight_hh"): "weight",
    ("gru", "bias"): "bias",
    ("gru", "input_bias"): "bias",
    ("rnn", "weight_ih"): "weight",
    ("rnn", "weight_hh"): "weight",
    ("rnn", "bias"): "bias",
    ("batch_norm", "mean"): "norm",
    ("batch_norm", "variance"): "norm",
    ("batch_norm", "gamma"): "norm",
    ("batch_norm", "beta"): "norm",
    ("instance_norm", "gamma"): "norm",
    ("instance_norm", "beta"): "norm",
    ("layer_norm", "gamma"): "norm",
    ("layer_norm", "beta"): "norm",
    ("prelu", "alpha"): "slope",
    ("scaled_dot_product_attention", "attn_mask"): "mask",
    ("select", "cond"): "mask",
}


def _scalar(operands: Operands, name: str) -> Any:
    """The value of an operand, None where it is an array."""
    value = operands(name)
    return value if getattr(value, "shape", ()) == () else None


def _at(output: int, input: int) -> Callable[[Operands], Axes | None]:
    return lambda operands: (output, input)


def _matrix(flag: str, *, rows_are_outputs: bool) -> Callable[[Operands], Axes | None]:
    """A factor of `matmul`: the last two axes, which its flag exchanges."""

    def axes(operands: Operands) -> Axes | None:
        transposed = _scalar(operands, flag)
        if transposed is None:
            return None
        return (-2, -1) if bool(transposed) != rows_are_outputs else (-1, -2)

    return axes


def _rows(operands: Operands) -> Axes | None:
    """The table of `gather`, whose rows are taken from its first axis."""
    return (0, 1) if _scalar(operands, "axis") == 0 else None


# (operation type, input) -> its axes, None where they do not tell
AXES: dict[tuple[str, str], Callable[[Operands], Axes | None]] = {
    ("conv", "weight"): _at(0, 1),
    ("conv_transpose", "weight"): _at(1, 0),
    ("linear", "weight"): _at(0, 1),
    ("matmul", "x"): _matrix("transpose_x", rows_are_outputs=True),
    ("matmul", "y"): _matrix("transpose_y", rows_are_outputs=False),
    ("gather", "x"): _rows,
    **{
        (op_type, f"weight_{which}"): _at(0, 1)
        for op_type in ("lstm", "gru", "rnn")
        for which in ("ih", "hh", "ih_back", "hh_back")
    },
}

# Operations that hand on a constant's values, rearranged at most, and the input they take them from.
REARRANGING: dict[str, str] = {
    "cast": "x",
    "expand_dims": "x",
    "reshape": "x",
    "squeeze": "x",
    "transpose": "x",
}

# Inputs that Core ML cannot take from an operation that decompresses a constant.
BARRED: dict[tuple[str, str], str] = {
    ("prelu", "alpha"): "prelu takes its alpha from a plain constant only",
}


def role(op_type: str, input_name: str) -> str | None:
    """The role of an operation's input, None where it is an operand like any other."""
    return TABLE.get((op_type, input_name))


def channel_axes(op_type: str, input_name: str, operands: Operands, rank: int) -> Axes | None:
    """The axes of output and input channels of an operand of a rank, from 0; None where nothing tells.

    `conv` has [C_out, C_in / groups, ...], `conv_transpose` [C_in, C_out / groups, ...], `linear`
    [C_out, C_in], recurrent layers [gates * H, I]; a factor of `matmul` goes by its transpose flag; the rows
    of an embedding count as outputs.  Source: the definitions of these operations in coremltools.
    """
    axes = AXES.get((op_type, input_name))
    found = axes(operands) if axes else None
    if found is None or rank < 2:
        return None
    return found[0] % rank, found[1] % rank

"""What an operation uses an input for: the only place that knows."""

from __future__ import annotations

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

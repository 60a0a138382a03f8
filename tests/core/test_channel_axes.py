"""Which axes of a weight have its channels, shown by small operations that are changed slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass.granularity import Channels
from milpass.roles import AXES, channel_axes
from milpass.weight import Key, Reader, Source, Weight

Array = NDArray[np.float64]


def linear(x: Array, weight: Array) -> Array:
    """x [N, C_in], weight [C_out, C_in]."""
    return np.array([[sum(row * out) for out in weight] for row in x])


def conv(x: Array, weight: Array, groups: int = 1) -> Array:
    """x [C_in, L], weight [C_out, C_in / groups, K], no padding -> [C_out, L - K + 1]."""
    outs, per_group, taps = weight.shape
    y = np.zeros((outs, x.shape[1] - taps + 1))
    for out, channel, tap, at in product(range(outs), range(per_group), range(taps), range(y.shape[1])):
        first = out // (outs // groups) * per_group
        y[out, at] += weight[out, channel, tap] * x[first + channel, at + tap]
    return y


def conv_transpose(x: Array, weight: Array, groups: int = 1) -> Array:
    """x [C_in, L], weight [C_in, C_out / groups, K], no padding -> [C_out, L + K - 1]."""
    ins, per_group, taps = weight.shape
    y = np.zeros((per_group * groups, x.shape[1] + taps - 1))
    for channel, out, tap, at in product(range(ins), range(per_group), range(taps), range(x.shape[1])):
        first = channel // (ins // groups) * per_group
        y[first + out, at + tap] += weight[channel, out, tap] * x[channel, at]
    return y


@frozen
class Case:
    """An operation of an activation and a weight.

    `outputs` are the axis of its result that has output channels; `inputs` that of the activation that has
    input channels; `repeats` how many groups there are, each with channels of its own.
    """

    op_type: str
    input: str
    shape: tuple[int, ...]
    activation: tuple[int, ...]
    inputs: int
    outputs: int
    compute: Callable[[Array, Array], Array]
    operands: tuple[tuple[str, Any], ...] = ()
    input_repeats: int = 1
    output_repeats: int = 1


def matmul(operand: str, *, tx: bool, ty: bool, batched: bool) -> Case:
    """One factor of `matmul(x, y)` is the weight; [M, K] times [K, N], their last axes exchanged by flags."""
    batch = (2,) if batched else ()
    shapes = {"x": (5, 4)[:: -1 if tx else 1], "y": (4, 3)[:: -1 if ty else 1]}
    factors = {"x": lambda a: a.swapaxes(-1, -2) if tx else a, "y": lambda a: a.swapaxes(-1, -2) if ty else a}
    is_x = operand == "x"
    other = "y" if is_x else "x"

    def compute(activation: Array, weight: Array) -> Array:
        x, y = (weight, activation) if is_x else (activation, weight)
        return factors["x"](x) @ factors["y"](y)

    inner = (-1 if ty else -2) if is_x else (-2 if tx else -1)
    return Case(
        "matmul",
        operand,
        (*batch, *shapes[operand]),
        (*batch, *shapes[other]),
        inner,
        -2 if is_x else -1,
        compute,
        (("transpose_x", tx), ("transpose_y", ty)),
    )


def recurrent(op_type: str, which: str, gates: int) -> Case:
    """The products of a recurrent layer: weight_ih [gates * H, I] with inputs, weight_hh [gates * H, H]."""
    hidden, width = 3, 4 if which.startswith("ih") else 3
    return Case(op_type, f"weight_{which}", (gates * hidden, width), (2, width), 1, 1, linear)


CASES = [
    Case("linear", "weight", (3, 4), (2, 4), 1, 1, linear),
    Case("conv", "weight", (3, 4, 2), (4, 5), 0, 0, conv),
    Case("conv", "weight", (4, 2, 2), (4, 5), 0, 0, lambda x, w: conv(x, w, groups=2), input_repeats=2),
    Case("conv_transpose", "weight", (4, 3, 2), (4, 5), 0, 0, conv_transpose),
    Case(
        "conv_transpose",
        "weight",
        (4, 3, 2),
        (4, 5),
        0,
        0,
        lambda x, w: conv_transpose(x, w, groups=2),
        output_repeats=2,
    ),
    *(
        matmul(operand, tx=tx, ty=ty, batched=batched)
        for operand, tx, ty, batched in product("xy", (False, True), (False, True), (False, True))
    ),
    # rows that are looked up, and met with a vector as a model's last layer meets its embedding
    Case(
        "gather",
        "x",
        (5, 4),
        (4,),
        0,
        0,
        lambda x, table: table[[0, 1, 2, 3, 4]] @ x,
        (("axis", np.int32(0)),),
    ),
    *(
        recurrent(op_type, which, gates)
        for op_type, gates in (("lstm", 4), ("gru", 3), ("rnn", 1))
        for which in ("ih", "hh", "ih_back", "hh_back")
    ),
]


def axes_of(case: Case) -> tuple[int, int]:
    found = channel_axes(case.op_type, case.input, dict(case.operands).get, len(case.shape))
    assert found is not None and all(0 <= axis < len(case.shape) for axis in found)
    return found


def drawn(case: Case) -> tuple[Array, Array]:
    rng = np.random.default_rng(len(case.op_type))
    return rng.uniform(1, 2, case.activation), rng.uniform(1, 2, case.shape)


def changed(weight: Array, axis: int, place: int) -> Array:
    other = weight.copy()
    np.moveaxis(other, axis, 0)[place] += 1
    return other


def test_every_row_of_the_table_has_a_case() -> None:
    assert {(case.op_type, case.input) for case in CASES} == set(AXES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op_type}-{case.input}")
def test_a_slice_along_the_output_axis_makes_that_output_channel_alone(case: Case) -> None:
    (x, weight), (axis, _) = drawn(case), axes_of(case)
    before = np.moveaxis(case.compute(x, weight), case.outputs, 0)
    channels = case.shape[axis]
    assert len(before) == channels * case.output_repeats
    for place in range(channels):
        after = np.moveaxis(case.compute(x, changed(weight, axis, place)), case.outputs, 0)
        differs = (after != before).reshape(len(before), -1)
        expected = [number % channels == place for number in range(len(before))]
        assert differs.any(axis=1).tolist() == differs.all(axis=1).tolist() == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op_type}-{case.input}")
def test_a_slice_along_the_input_axis_counts_for_nothing_where_that_channel_is_zero(case: Case) -> None:
    (x, weight), (_, axis) = drawn(case), axes_of(case)
    channels = case.shape[axis]
    assert x.shape[case.inputs] == channels * case.input_repeats
    for place in range(channels):
        silent = x.copy()
        np.moveaxis(silent, case.inputs, 0)[place::channels] = 0
        other = changed(weight, axis, place)
        assert np.array_equal(case.compute(silent, other), case.compute(silent, weight))
        assert (case.compute(x, other) != case.compute(x, weight)).any()


@pytest.mark.parametrize("operand", ["x", "y"])
def test_a_factor_whose_transpose_flag_is_not_known_tells_nothing(operand: str) -> None:
    other = "y" if operand == "x" else "x"
    assert channel_axes("matmul", operand, {f"transpose_{other}": True}.get, 2) is None
    assert channel_axes("matmul", operand, {}.get, 2) is None


@pytest.mark.parametrize("axis", [1, -1, None])
def test_a_table_whose_rows_are_not_along_its_first_axis_tells_nothing(axis: int | None) -> None:
    assert channel_axes("gather", "x", {"axis": axis}.get, 2) is None


@pytest.mark.parametrize(
    ("op_type", "operand"), [("add", "x"), ("conv", "bias"), ("einsum", "values"), ("linear", "x")]
)
def test_other_operands_tell_nothing(op_type: str, operand: str) -> None:
    assert channel_axes(op_type, operand, {}.get, 2) is None


@pytest.mark.parametrize("rank", [0, 1])
def test_a_vector_has_no_two_axes(rank: int) -> None:
    assert channel_axes("linear", "weight", {}.get, rank) is None
    assert channel_axes("matmul", "y", {"transpose_y": False}.get, rank) is None


def read_by(*axes: tuple[int, int] | None) -> Channels:
    """The channels of a weight whose readers say so."""
    readers = tuple(
        Reader("conv", f"op_{number}", "weight", "weight", axes=each) for number, each in enumerate(axes)
    )
    weight = Weight(Key("main", (), "w"), (3, 4, 5), "fp16", Source("weight.bin", 64))
    return evolve(weight, readers=readers).channels


def test_channels_are_what_the_readers_say() -> None:
    assert read_by((1, 0)) == Channels(1, 0)
    assert read_by((2, 1), (2, 1), (2, 1)) == Channels(2, 1)
    assert read_by(None, (0, 1), None) == Channels(0, 1)


@pytest.mark.parametrize("axes", [(), (None,), (None, None)])
def test_channels_that_no_reader_tells_are_unknown(axes: tuple[None, ...]) -> None:
    told = "no operation that uses it tells which axis has its channels"
    assert read_by(*axes) == Channels(None, None, told)


@pytest.mark.parametrize(
    ("axes", "channels"),
    [
        (((0, 1), (1, 0)), Channels(None, None, "its readers have their output channels along axes 0 and 1")),
        (((2, 1), (0, 1)), Channels(None, 1, "its readers have their output channels along axes 0 and 2")),
        (((0, 2), (0, 1)), Channels(0, None, "its readers have their input channels along axes 1 and 2")),
        (
            ((2, 0), (0, 1), (1, 0), None, (0, 2)),
            Channels(None, None, "its readers have their output channels along axes 0 and 1 and 2"),
        ),
    ],
)
def test_readers_that_disagree_leave_only_what_they_agree_on(axes: Any, channels: Channels) -> None:
    assert read_by(*axes) == read_by(*axes[::-1]) == channels

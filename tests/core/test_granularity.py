"""Who shares parameters: the groups of shapes, the rows they make, and what is refused in which words."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milpass import parse
from milpass.errors import UsageError
from milpass.fitting.rows import joined, split
from milpass.granularity import (
    Channels,
    Granularity,
    PerBlock,
    PerChannel,
    PerGroupedChannel,
    PerTensor,
    Ungroupable,
)
from milpass.passes import fit_affine
from milpass.pipeline import Pipeline
from tests.strategies import quick

OUT_FIRST, IN_FIRST = Channels(0, 1), Channels(1, 0)

# shape, channels, granularity -> groups
TABLE: list[tuple[tuple[int, ...], Channels, Granularity, tuple[int, ...]]] = [
    ((4, 6), OUT_FIRST, PerTensor(), (1, 1)),
    ((4, 6), Channels(), PerTensor(), (1, 1)),
    ((4, 6), OUT_FIRST, PerChannel(), (4, 1)),
    ((4, 6), IN_FIRST, PerChannel(), (1, 6)),
    ((4, 6), Channels(), PerChannel(axis=1), (1, 6)),
    ((4, 6), OUT_FIRST, PerChannel(axis=-1), (1, 6)),
    ((4, 6), OUT_FIRST, PerGroupedChannel(2), (2, 1)),
    ((4, 6), IN_FIRST, PerGroupedChannel(2), (1, 3)),
    ((4, 6), OUT_FIRST, PerGroupedChannel(3, axis=1), (1, 2)),
    ((4, 6), OUT_FIRST, PerGroupedChannel(4), (1, 1)),
    ((4, 6), OUT_FIRST, PerBlock(3), (4, 2)),
    ((4, 6), IN_FIRST, PerBlock(2), (2, 6)),
    ((4, 6), Channels(), PerBlock((1, 3)), (4, 2)),
    ((4, 6), OUT_FIRST, PerBlock((0, 2)), (1, 3)),
    ((4, 6), OUT_FIRST, PerBlock((0, 0)), (1, 1)),
    ((5, 4, 3), OUT_FIRST, PerTensor(), (1, 1, 1)),
    ((5, 4, 3), OUT_FIRST, PerChannel(), (5, 1, 1)),
    ((5, 4, 3), IN_FIRST, PerChannel(), (1, 4, 1)),
    ((5, 4, 3), Channels(2, 1), PerBlock(2), (1, 2, 3)),
    ((5, 4, 3), OUT_FIRST, PerGroupedChannel(1, axis=-2), (1, 4, 1)),
    ((8, 6, 3, 3), OUT_FIRST, PerChannel(), (8, 1, 1, 1)),
    ((8, 6, 3, 3), OUT_FIRST, PerBlock(2), (8, 3, 1, 1)),
    ((8, 6, 3, 3), OUT_FIRST, PerBlock((4, 2, 1, 0)), (2, 3, 3, 1)),
    ((8, 6, 3, 3), OUT_FIRST, PerGroupedChannel(4), (2, 1, 1, 1)),
    ((2, 4, 3, 1, 5), IN_FIRST, PerChannel(), (1, 4, 1, 1, 1)),
    ((2, 4, 3, 1, 5), IN_FIRST, PerGroupedChannel(2), (1, 2, 1, 1, 1)),
    ((2, 4, 3, 1, 5), OUT_FIRST, PerBlock((1, 2, 3, 1, 0)), (2, 2, 1, 1, 1)),
]


@pytest.mark.parametrize(("shape", "channels", "granularity", "groups"), TABLE, ids=str)
def test_groups_are_those_of_the_table(
    shape: tuple[int, ...], channels: Channels, granularity: Granularity, groups: tuple[int, ...]
) -> None:
    assert granularity.groups(shape, channels) == groups


def divisors(length: int) -> list[int]:
    return [n for n in range(1, length + 1) if length % n == 0]


@st.composite
def grouped(draw: st.DrawFn) -> tuple[tuple[int, ...], Channels, Granularity, tuple[int, ...]]:
    """A shape, its channels, a granularity that groups it, and the length of a group along each axis."""
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=2, max_size=5).map(tuple))
    output, input_axis = draw(st.permutations(range(len(shape))))[:2]
    asked = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    axis = output if asked is None else range(len(shape))[asked]
    whole = list(shape)
    kind = draw(st.sampled_from(["tensor", "channel", "grouped", "block", "blocks"]))
    if kind == "tensor":
        return shape, Channels(output, input_axis), PerTensor(), shape
    if kind == "channel":
        whole[axis] = 1
        return shape, Channels(output, input_axis), PerChannel(asked), tuple(whole)
    if kind == "grouped":
        whole[axis] = draw(st.sampled_from(divisors(shape[axis])))
        return shape, Channels(output, input_axis), PerGroupedChannel(whole[axis], asked), tuple(whole)
    if kind == "block":
        whole[output], whole[input_axis] = 1, draw(st.sampled_from(divisors(shape[input_axis])))
        return shape, Channels(output, input_axis), PerBlock(whole[input_axis]), tuple(whole)
    sizes = tuple(draw(st.sampled_from([0, *divisors(length)])) for length in shape)
    lengths = tuple(size or length for size, length in zip(sizes, shape, strict=True))
    return shape, Channels(output, input_axis), PerBlock(sizes), lengths


@quick(max_examples=400)
@given(grouped())
def test_each_element_is_in_the_row_that_the_definition_says(
    drawn: tuple[tuple[int, ...], Channels, Granularity, tuple[int, ...]],
) -> None:
    shape, channels, granularity, lengths = drawn
    groups = granularity.groups(shape, channels)
    assert groups == tuple(length // size for length, size in zip(shape, lengths, strict=True))
    array = np.arange(prod(shape), dtype=np.float32).reshape(shape)
    rows: dict[tuple[int, ...], list[float]] = {}
    for place in product(*map(range, shape)):  # in row-major order, as the elements of a row are
        rows.setdefault(tuple(n // size for n, size in zip(place, lengths, strict=True)), []).append(
            float(array[place])
        )
    found = split(array, groups)
    assert found.tolist() == [rows[group] for group in product(*map(range, groups))]
    back = joined(found, shape, groups)
    assert back.shape == shape and back.tobytes() == array.tobytes()


@quick(max_examples=200)
@given(grouped(), st.randoms())
def test_arrays_that_do_not_lie_in_row_major_order_have_the_same_rows(drawn: Any, random: Any) -> None:
    shape, channels, granularity, _ = drawn
    groups, array = granularity.groups(shape, channels), np.arange(prod(shape)).reshape(shape)
    order = list(range(len(shape)))
    random.shuffle(order)
    scattered = np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    assert split(scattered, groups).tolist() == split(array, groups).tolist()


@pytest.mark.parametrize(
    ("shape", "channels", "granularity", "reason"),
    [
        (
            (12, 6),
            OUT_FIRST,
            PerGroupedChannel(5),
            "groups of 5 do not divide the 12 channels of axis 0: 4 or 6 do",
        ),
        ((12, 6), OUT_FIRST, PerBlock(4), "groups of 4 do not divide the 6 channels of axis 1: 3 or 6 do"),
        ((12, 6), OUT_FIRST, PerBlock(32), "groups of 32 do not divide the 6 channels of axis 1: 6 do"),
        (
            (7, 6),
            OUT_FIRST,
            PerBlock((2, 0)),
            "groups of 2 do not divide the 7 channels of axis 0: 1 or 7 do",
        ),
        ((12, 6), OUT_FIRST, PerBlock((1, 2, 1)), "blocks of 3 axes for a weight of 2"),
        ((12, 6), OUT_FIRST, PerBlock((2,)), "blocks of 1 axes for a weight of 2"),
        ((12, 6), OUT_FIRST, PerChannel(axis=2), "axis 2 of a weight of rank 2"),
        ((12, 6), OUT_FIRST, PerGroupedChannel(2, axis=-3), "axis -3 of a weight of rank 2"),
        ((12, 6), Channels(why="nobody reads it"), PerChannel(), "nobody reads it; name the axis"),
        ((12, 6), Channels(why="nobody reads it"), PerGroupedChannel(2), "nobody reads it; name the axis"),
        ((12, 6), Channels(why="nobody reads it"), PerBlock(2), "nobody reads it; name the axis"),
        ((12, 6), Channels(output=0, why="inputs differ"), PerBlock(2), "inputs differ; name the axis"),
    ],
    ids=str,
)
def test_why_a_weight_has_no_such_groups(
    shape: tuple[int, ...], channels: Channels, granularity: Granularity, reason: str
) -> None:
    with pytest.raises(Ungroupable) as raised:
        granularity.groups(shape, channels)
    assert str(raised.value) == reason


@quick(max_examples=400)
@given(st.integers(1, 60), st.integers(1, 70))
def test_a_size_that_leaves_a_rest_is_told_the_nearest_that_do_not(length: int, size: int) -> None:
    if length % size == 0:
        assert PerGroupedChannel(size, 0).groups((length, 2), Channels()) == (length // size, 1)
        return
    with pytest.raises(Ungroupable) as raised:
        PerGroupedChannel(size, 0).groups((length, 2), Channels())
    below = next(n for n in range(size - 1, 0, -1) if length % n == 0)
    above = [n for n in range(size + 1, length + 1) if length % n == 0][:1]
    assert str(raised.value).endswith(f" {' or '.join(map(str, [below, *above]))} do")


AN_AXIS = "an integer, or None for the axis of the output channels"
A_SIZE = "an integer of at least 1"
BLOCKS = "the length of a block along the input channels, or a tuple of one length an axis (0: all of it)"


@pytest.mark.parametrize(
    ("kind", "field", "value", "needs"),
    [
        *((PerChannel, "axis", value, AN_AXIS) for value in (1.0, True, "0", (0,))),
        *((PerGroupedChannel, "group_size", value, A_SIZE) for value in (0, -1, 2.0, True, None, "2")),
        *((PerBlock, "sizes", value, BLOCKS) for value in (0, -4, 32.0, True, None, (), (1, -1), (1, 2.0))),
        *((PerBlock, "sizes", value, BLOCKS) for value in ((True, 1), [1, 2], "32")),
    ],
)
def test_wrong_arguments_are_refused_in_words(kind: Any, field: str, value: object, needs: str) -> None:
    with pytest.raises(UsageError) as raised:
        kind(**{field: value})
    name = kind.__name__
    told = f"{field} of {name}: {name} cannot group weights: got {value!r}, needs {needs}."
    assert str(raised.value) == told


def test_a_wrong_axis_of_grouped_channels_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^axis of PerGroupedChannel: .* got 0\.5, needs an integer"):
        PerGroupedChannel(2, axis=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("granularity", "text"),
    [
        (PerTensor(), "PerTensor()"),
        (PerChannel(), "PerChannel()"),
        (PerChannel(axis=0), "PerChannel(axis=0)"),
        (PerChannel(-1), "PerChannel(axis=-1)"),
        (PerGroupedChannel(8), "PerGroupedChannel(group_size=8)"),
        (PerGroupedChannel(8, 1), "PerGroupedChannel(group_size=8, axis=1)"),
        (PerBlock(32), "PerBlock(sizes=32)"),
        (PerBlock((1, 32)), "PerBlock(sizes=(1, 32))"),
        (PerBlock((0,)), "PerBlock(sizes=(0,))"),
    ],
    ids=repr,
)
def test_the_text_of_a_granularity_makes_it_again(granularity: Granularity, text: str) -> None:
    assert repr(granularity) == text
    read = parse(f"fit_affine(granularity={text})")
    assert read == Pipeline(fit_affine(granularity=granularity)) and parse(repr(read)) == read

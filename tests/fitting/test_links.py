"""Sizes told before any weight is read, against the bytes of what is spelled after it was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from milpass.composition import Composition
from milpass.dialects import DIALECTS
from milpass.granularity import Channels, PerBlock, PerChannel, PerGroupedChannel, PerTensor, Ungroupable
from milpass.legality import Course, course_of, settle
from milpass.links import Found, Link, found, links, stored_bytes
from milpass.passes import fit_affine, fit_cast, fit_lut, prune_weights
from milpass.plan import Plan, Replaced, Row
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick

FEW = quick(max_examples=100, derandomize=True)
DTYPES = {"fp16": np.float16, "fp32": np.float32}
GRANULARITIES = [PerTensor(), PerChannel(), PerChannel(axis=1), PerGroupedChannel(2), PerBlock(2)]
SPELLED_SCALES = [PerTensor(), PerChannel(), PerChannel(axis=1)]  # what iOS16 can say


def weight_of(shape: tuple[int, ...], dtype: str = "fp16") -> Weight:
    reader = Reader("conv", "conv_0", "weight", "weight", axes=(0, 1))
    return Weight(Key("main", (), "w"), shape, dtype, Source("weight.bin", 64), (reader,))


def array_of(weight: Weight) -> np.ndarray:
    """Values of many magnitudes and of either sign, no zero among them."""
    rng = np.random.default_rng(weight.size)
    signs = rng.choice([-1, 1], weight.shape)
    return (signs * rng.uniform(0.01, 1, weight.shape)).astype(DTYPES[weight.dtype])


def tables(granularities: Any, bits: Sequence[int], **fixed: Any) -> st.SearchStrategy[Any]:
    mode = st.sampled_from(["kmeans", "uniform"])
    return st.builds(
        fit_lut, nbits=st.sampled_from(bits), mode=mode, granularity=st.sampled_from(granularities), **fixed
    )


def numbers(granularities: Any, bits: Sequence[int], **fixed: Any) -> st.SearchStrategy[Any]:
    mode = st.sampled_from(["linear", "linear_symmetric"])
    return st.builds(
        fit_affine,
        nbits=st.sampled_from(bits),
        mode=mode,
        granularity=st.sampled_from(granularities),
        signed=st.booleans(),
        **fixed,
    )


IOS18_TABLES = tables(GRANULARITIES, (1, 2, 3, 4, 6, 8))
SCALED = st.builds(
    fit_lut,
    nbits=st.sampled_from([1, 2, 4]),
    granularity=st.sampled_from([PerTensor(), PerChannel(), PerGroupedChannel(2)]),
    per_channel_scale=st.just(True),
)
PRUNED = st.builds(prune_weights, sparsity=st.sampled_from([0.0, 0.1, 0.5, 0.77, 1.0])) | st.sampled_from(
    [prune_weights(n_m=(1, 2)), prune_weights(sparsity=0.6, block_size=2, along="input")]
)

AROUND_TABLES, AROUND_NUMBERS = (PRUNED.map(partial(evolve, around=kind)) for kind in ("lut", "affine"))


def inside(kind: str) -> dict[str, Any]:
    return {"inside": st.just(kind)}


CHAINS: dict[str, list[st.SearchStrategy[tuple[Any, ...]]]] = {
    "iOS16": [
        st.tuples(tables([PerTensor()], (1, 2, 4, 6, 8))),
        st.tuples(numbers(SPELLED_SCALES, (8,))),
        st.tuples(PRUNED),
    ],
    "iOS18": [
        st.tuples(IOS18_TABLES),
        st.tuples(SCALED),
        st.tuples(numbers(GRANULARITIES, (4, 8))),
        st.tuples(PRUNED),
        st.tuples(PRUNED, tables(GRANULARITIES, (1, 2, 3, 4), **inside("sparse"))),
        st.tuples(PRUNED, numbers(GRANULARITIES, (4, 8), **inside("sparse"))),
        st.tuples(IOS18_TABLES, numbers([PerTensor(), PerChannel()], (4, 8), **inside("lut"))),
        st.tuples(numbers(GRANULARITIES, (4, 8)), tables(GRANULARITIES, (1, 2, 3), **inside("affine"))),
        st.tuples(AROUND_TABLES, IOS18_TABLES),
        st.tuples(AROUND_NUMBERS, numbers(GRANULARITIES, (8,))),  # so fine that nothing becomes zero
        st.tuples(
            PRUNED,
            tables(GRANULARITIES, (1, 2, 3), **inside("sparse")),
            numbers([PerTensor(), PerChannel()], (4, 8), **inside("lut")),
        ),
    ],
}
EVERY_CHAIN = [(name, number) for name, chains in CHAINS.items() for number in range(len(chains))]
SHAPES = st.sampled_from([(4, 6), (2, 4), (6, 4, 3), (2, 10, 1, 3), (2, 4, 1, 3, 1)])


@pytest.mark.parametrize(("name", "number"), EVERY_CHAIN)
@FEW
@given(data=st.data())
def test_the_bytes_that_are_spelled_were_predicted(name: str, number: int, data: st.DataObject) -> None:
    fits = data.draw(CHAINS[name][number])
    weight = weight_of(data.draw(SHAPES), data.draw(st.sampled_from(list(DTYPES))))
    dialect = DIALECTS[name]
    chain = links(weight, fits)
    assert dialect.refuse(chain) is None
    encoding = Composition(weight, dialect.legal).fitted(fits, array_of(weight)).encoding
    spelled = dialect.spell(encoding).nbytes
    assert dialect.stored_bytes(chain, weight) == spelled
    if name == "iOS18":
        assert stored_bytes(chain, weight) == spelled


@pytest.mark.parametrize("name", DIALECTS)
def test_half_precision_halves_the_bytes(name: str) -> None:
    weight = weight_of((4, 6), "fp32")
    encoding = Composition(weight, {"cast": ()}).fitted([fit_cast()], array_of(weight)).encoding
    assert DIALECTS[name].stored_bytes(links(weight, [fit_cast()]), weight) == 48
    assert DIALECTS[name].spell(encoding).nbytes == 48


@pytest.mark.parametrize(
    ("fits", "parts"),
    [
        ((fit_lut(nbits=3),), {"indices": 9, "table": 16}),
        ((fit_lut(nbits=1, granularity=PerChannel()),), {"indices": 3, "tables": 16}),
        ((fit_lut(nbits=1, per_channel_scale=True),), {"indices": 3, "table": 4, "scales": 8}),
        ((fit_affine(nbits=4),), {"numbers": 12, "scales": 8, "offsets": 2}),
        ((fit_affine(nbits=4, mode="linear_symmetric"),), {"numbers": 12, "scales": 8}),
        ((fit_affine(nbits=8, granularity=PerBlock(3)),), {"numbers": 24, "scales": 16, "offsets": 8}),
        ((prune_weights(sparsity=0.75),), {"mask": 3, "values": 12}),
        (
            (prune_weights(sparsity=0.75), fit_lut(nbits=2, inside="sparse")),
            {"mask": 3, "indices": 2, "table": 8},
        ),
        (
            (fit_lut(nbits=2), fit_affine(nbits=8, inside="lut")),
            {"indices": 6, "entries": 4, "scale": 2, "offset": 1},
        ),
        (
            (fit_affine(nbits=4), fit_lut(nbits=1, inside="affine")),  # entries and offsets of a byte
            {"indices": 3, "entries": 2, "scales": 8, "offsets": 4},
        ),
    ],
)
def test_bytes_by_hand(fits: Any, parts: dict[str, int]) -> None:
    weight = weight_of((4, 6))
    assert stored_bytes(links(weight, fits), weight) == sum(parts.values())


@pytest.mark.parametrize(
    ("name", "nbytes"), [("iOS16", 24 + 8 + 4), ("iOS17", 24 + 8 + 4), ("iOS18", 24 + 8)]
)
def test_ios16_stores_a_zero_point_with_each_scale(name: str, nbytes: int) -> None:
    weight, fit = weight_of((4, 6)), fit_affine(mode="linear_symmetric")
    assert DIALECTS[name].stored_bytes(links(weight, [fit]), weight) == nbytes

    class Target:
        format = name
        releases = tuple(DIALECTS)

        def parts(self) -> dict[str, Target]:
            return {"": self}

    plan = Plan((Row(weight, Replaced((fit,))),))
    (row,) = settle(plan, course_of(Target(), None)).rows  # type: ignore[arg-type]
    assert isinstance(row.entry, Replaced) and row.entry.nbytes == nbytes


@pytest.mark.parametrize(
    "fits",
    [
        (fit_lut(mode="unique"),),
        (fit_lut(mode="custom", lut_function="a:b"),),
        (prune_weights(threshold=0.1),),
        (prune_weights(threshold=0.1), fit_lut(nbits=4, inside="sparse")),
        (fit_lut(mode="unique"), fit_affine(inside="lut")),
        (Found("sparse"), fit_lut(nbits=4, inside="sparse")),
        (Found("lut"), fit_affine(inside="lut")),
        (prune_weights(sparsity=0.5, around="lut"), Found("lut")),
    ],
    ids=repr,
)
def test_nothing_is_predicted_where_the_data_tell(fits: Any) -> None:
    weight = weight_of((4, 6))
    assert stored_bytes(links(weight, fits), weight) is None
    assert DIALECTS["iOS16"].stored_bytes(links(weight, fits), weight) is None


@pytest.mark.parametrize(
    "fits",
    [
        (Found("affine"), fit_lut(nbits=4, inside="affine")),
        (prune_weights(sparsity=0.5, around="affine"), Found("affine")),
    ],
    ids=repr,
)
def test_nothing_is_predicted_of_what_a_model_has(fits: Any) -> None:
    weight = weight_of((4, 6))
    plan = Plan((Row(evolve(weight, encoded="constexpr_blockwise_shift_scale"), Replaced(fits)),))
    (row,) = settle(plan, Course("iOS18", "iOS18", None)).rows
    assert isinstance(row.entry, Replaced) and row.entry.nbytes is None


def test_zeros_that_a_weight_had_are_counted_as_if_they_were_stored() -> None:
    weight, fit = weight_of((4, 6)), prune_weights(sparsity=0.5)
    array = array_of(weight)
    array[:3] = 0
    encoding = Composition(weight, {"sparse": ()}).fitted([fit], array).encoding
    spelled = DIALECTS["iOS18"].spell(encoding).nbytes
    assert (spelled, stored_bytes(links(weight, [fit]), weight)) == (3 + 2 * 6, 3 + 2 * 12)


def test_links_of_a_chain() -> None:
    weight = weight_of((4, 6))
    pruned = prune_weights(sparsity=0.5)
    lut = fit_lut(nbits=2, granularity=PerChannel(), inside="sparse")
    affine = fit_affine(nbits=8, inside="lut", mode="linear_symmetric")
    assert links(weight, [pruned, lut, affine]) == (
        Link("sparse", None, (4, 6), (1, 1), kept=12),
        Link("lut", 2, (4, 6), (4, 1)),
        Link("affine", 8, (4, 1, 4, 1), (4, 1, 1, 1)),
    )
    whole = evolve(affine, granularity=PerTensor(), mode="linear")
    assert links(weight, [pruned, lut, whole])[-1] == Link(
        "affine", 8, (4, 1, 4, 1), (1,) * 4, has_offset=True
    )
    scaled = fit_lut(nbits=2, granularity=PerGroupedChannel(2), per_channel_scale=True)
    assert links(weight, [scaled]) == (
        Link("affine", None, (4, 6), (4, 1)),
        Link("lut", 2, (4, 6), (2, 1)),
    )
    assert links(weight, [evolve(scaled, granularity=PerChannel())]) == (Link("lut", 2, (4, 6), (4, 1)),)


@pytest.mark.parametrize(
    ("fits", "reason"),
    [
        (
            (fit_affine(granularity=PerBlock(4)),),
            "groups of 4 do not divide the 6 channels of axis 1: 3 or 6 do",
        ),
        ((prune_weights(n_m=(2, 4)),), "4 neighbours among 6 input channels: there must be 8 or more"),
        (
            (prune_weights(sparsity=0.5, block_size=3),),
            "3 neighbours among 4 output channels: there must be 6 or more",
        ),
        ((prune_weights(sparsity=0.5), fit_affine(inside="sparse", granularity=PerChannel(5))), "axis 5 of"),
    ],
)
def test_a_chain_that_cannot_be_grouped_says_why(fits: Any, reason: str) -> None:
    with pytest.raises(Ungroupable, match=reason):
        links(weight_of((4, 6)), fits)


def test_scales_of_channels_need_channels() -> None:
    weight = evolve(weight_of((4, 6)), readers=())
    assert weight.channels == Channels()
    with pytest.raises(Ungroupable, match="name the axis"):
        links(weight, [fit_lut(nbits=2, per_channel_scale=True)])


@pytest.mark.parametrize(
    ("operation", "encoding"),
    [
        ("constexpr_lut_to_dense", (Found("lut"),)),
        ("constexpr_blockwise_shift_scale", (Found("affine"),)),
        ("constexpr_affine_dequantize", (Found("affine"),)),
        ("constexpr_sparse_to_dense", (Found("sparse"),)),
        ("constexpr_cast", (Found("cast"),)),
        ("constexpr_of_another_day", ()),
        (None, ()),
    ],
)
def test_how_a_weight_is_compressed_already(operation: str | None, encoding: tuple[Found, ...]) -> None:
    assert found(evolve(weight_of((4, 6)), encoded=operation)) == encoding

"""Every cell of encoding, bits, groups, release and home: stored as coremltools decodes it, or refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from milpass import (
    NothingCompressed,
    Pipeline,
    apply,
    fit_affine,
    fit_cast,
    fit_lut,
    prune_weights,
    read_weights,
)
from milpass.granularity import PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.passes import PASSES, decompress, select_weights
from milpass.plan import Plan, Replaced, Skipped
from tests.with_coremltools.conftest import evaluated, read_by_coremltools
from tests.with_coremltools.programs import saved

RELEASES = {"iOS16": ct.target.iOS16, "iOS17": ct.target.iOS17, "iOS18": ct.target.iOS18}
BITS = range(1, 9)
GROUPS = (
    PerTensor(),
    PerChannel(),
    PerChannel(axis=1),
    PerGroupedChannel(group_size=4),
    PerBlock(8),
    PerBlock((4, 8)),
)
FLAT = {"iOS16": {1, 2, 4, 6, 8}, "iOS17": {1, 2, 4, 6, 8}, "iOS18": {1, 2, 3, 4, 6, 8}}
SHAPE = (16, 32)


def weight(dtype: type) -> np.ndarray:
    return (np.random.default_rng(5).standard_t(4, SHAPE) * 0.1).astype(dtype)


def program(dtype: type, release: str) -> Any:
    fp = types.fp16 if dtype is np.float16 else types.fp32

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 32), dtype=fp)], opset_version=RELEASES[release])  # type: ignore[untyped-decorator]
    def made(x: Any) -> Any:
        held = mb.const(val=weight(dtype), name="w")
        return mb.linear(x=x, weight=held, bias=np.zeros(16, dtype), name="product")

    return made


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("formats")
    return {
        (kind.__name__, release): saved(
            program(kind, release), folder / f"{kind.__name__}_{release}.mlpackage", RELEASES[release]
        )
        for kind, release in product((np.float16, np.float32), RELEASES)
    }


def run(chain: Any, source: Any, out: Path | None) -> tuple[Any, Plan]:
    outermost = "sparse" if getattr(chain[-1], "around", None) else chain[0].encoding
    steps = [select_weights(threshold=8), *chain, PASSES[f"replace_const_with_{outermost}"]()]
    return apply(Pipeline(*steps), source, out)


def seen_by_coremltools(made: Any) -> np.ndarray:
    """The weight as coremltools decodes it from a program, each operation by its own definition."""
    (op,) = [op for op in made.functions["main"].operations if op.outputs and op.outputs[0].name == "w"]
    return op.outputs[0].val if op.op_type == "const" else evaluated(op)[0]


def check(
    chain: tuple[Any, ...],
    dtype: type,
    release: str,
    packages: dict[tuple[str, str], Path],
    folder: Path,
    *,
    legal: bool,
) -> None:
    """One cell, in both homes."""
    source, original = packages[dtype.__name__, release], weight(dtype)
    if not legal:
        for model in (source, program(dtype, release)):
            with pytest.raises(NothingCompressed) as refused:
                run(chain, model, None if model is not source else folder / "out.mlpackage")
            (row,) = [row for row in refused.value.plan.rows if row.weight.name == "w"]
            assert isinstance(row.entry, Skipped) and row.entry.code == "opset"
            assert row.entry.reason.startswith(f"{release} has ")
        return
    out, plan = run(chain, source, folder / "out.mlpackage")
    decoded = seen_by_coremltools(read_by_coremltools(out))
    check_stated(plan, original, decoded)
    assert read_weights(out)["w"].tobytes() == decoded.tobytes()
    edited, again = run(chain, program(dtype, release), None)
    assert seen_by_coremltools(edited).tobytes() == decoded.tobytes()
    edited.validate()
    assert [row.entry for row in again.replaced] == [row.entry for row in plan.replaced]
    back, _ = apply(decompress(), out, folder / "back.mlpackage")
    restored = read_by_coremltools(back)
    assert restored.functions["main"].find_ops(op_type="constexpr_lut_to_dense") == []
    assert seen_by_coremltools(restored).tobytes() == decoded.tobytes()


def check_stated(plan: Plan, original: np.ndarray, decoded: np.ndarray) -> None:
    (row,) = plan.replaced
    assert isinstance(row.entry, Replaced) and row.entry.result
    assert (decoded.shape, decoded.dtype) == (original.shape, original.dtype)
    errors = decoded.astype(np.float64) - original.astype(np.float64)
    np.testing.assert_allclose(row.entry.result.squared_error, np.sum(errors**2), rtol=1e-9)
    assert row.entry.result.max_error == np.abs(errors).max()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_tables(dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    """The modes, which no format knows, in turn: so that each comes with all bits and all groups."""
    for number, (nbits, groups) in enumerate(product(BITS, GROUPS)):
        mode = ("kmeans", "uniform")[(nbits + number) % 2]
        legal = nbits in FLAT[release] and (groups == PerTensor() or release == "iOS18")
        (tmp_path / str(number)).mkdir()
        chain = (fit_lut(mode=mode, nbits=nbits, granularity=groups),)
        check(chain, dtype, release, packages, tmp_path / str(number), legal=legal)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_tables_of_vectors(dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    groups = (PerTensor(), PerChannel(axis=1), PerGroupedChannel(group_size=4))
    for number, (nbits, length, each) in enumerate(product((1, 3, 4), (2, 4), groups)):
        if nbits == 1 and each == PerChannel(axis=1):
            continue  # the best entries for 32 groups take seconds, and other cells have groups or one bit
        (tmp_path / str(number)).mkdir()
        chain = (fit_lut(nbits=nbits, granularity=each, cluster_dim=length),)
        legal = release == "iOS18"
        check(chain, dtype, release, packages, tmp_path / str(number), legal=legal)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("mode", ["linear", "linear_symmetric"])
def test_whole_numbers(mode: str, dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    """The range of the numbers, which no format knows, in turn."""
    for number, (nbits, groups, signed) in enumerate(product(range(2, 9), GROUPS, (True, False))):
        span = "mse" if (nbits == 4 and signed) or (nbits == 8 and not signed) else "minmax"
        flat = groups in (PerTensor(), PerChannel(), PerChannel(axis=1))
        legal = (nbits in (4, 8)) if release == "iOS18" else (nbits == 8 and flat)
        (tmp_path / str(number)).mkdir()
        chain = (fit_affine(mode=mode, nbits=nbits, granularity=groups, range=span, signed=signed),)
        check(chain, dtype, release, packages, tmp_path / str(number), legal=legal)


SPARSE = (
    prune_weights(sparsity=0.6),
    prune_weights(threshold=0.05, minimum_sparsity=0.1),
    prune_weights(n_m=(2, 4)),
    prune_weights(n_m=(2, 3), along="output"),
    prune_weights(sparsity=0.5, block_size=3),
    prune_weights(sparsity=0),
    prune_weights(sparsity=1),
)
PLAIN: list[tuple[Any, ...]] = [(prune,) for prune in SPARSE]
NESTED: list[tuple[Any, ...]] = [
    *((SPARSE[0], fit_lut(nbits=n, inside="sparse")) for n in (1, 3, 4, 8)),
    (SPARSE[2], fit_lut(mode="uniform", nbits=4, granularity=PerGroupedChannel(4), inside="sparse")),
    *((SPARSE[0], fit_affine(nbits=n, inside="sparse")) for n in (4, 8)),
    (SPARSE[0], fit_affine(mode="linear_symmetric", granularity=PerBlock(8), inside="sparse")),
    (SPARSE[0], fit_lut(nbits=4, inside="sparse"), fit_affine(granularity=PerTensor(), inside="lut")),
    (SPARSE[-1], fit_lut(nbits=3, inside="sparse"), fit_affine(inside="lut")),
    (SPARSE[-1], fit_affine(nbits=4, inside="sparse")),
    *((fit_lut(nbits=n), fit_affine(inside="lut")) for n in (2, 4, 8)),
    (fit_lut(nbits=4, granularity=PerChannel()), fit_affine(inside="lut")),
    (fit_lut(nbits=4, granularity=PerBlock(8)), fit_affine(mode="linear_symmetric", inside="lut")),
    (fit_affine(), fit_lut(nbits=4, inside="affine")),
    (fit_affine(nbits=4), fit_lut(nbits=3, inside="affine")),
    (fit_affine(signed=False), fit_lut(nbits=6, granularity=PerChannel(), inside="affine")),
    (fit_affine(mode="linear_symmetric", granularity=PerTensor()), fit_lut(nbits=3, inside="affine")),
    (fit_lut(nbits=3), prune_weights(sparsity=0.6, around="lut")),
    (fit_lut(nbits=8, granularity=PerChannel()), prune_weights(n_m=(2, 4), around="lut")),
    (fit_lut(nbits=4), fit_affine(inside="lut"), prune_weights(threshold=0.1, around="lut")),
    (fit_affine(), prune_weights(sparsity=0.5, block_size=4, around="affine")),
    (fit_affine(nbits=4, granularity=PerBlock(8)), prune_weights(sparsity=0.5, around="affine")),
    (fit_affine(mode="linear_symmetric"), prune_weights(sparsity=1, around="affine")),
    (fit_lut(nbits=4, per_channel_scale=True),),
    (fit_lut(nbits=2, per_channel_scale=True, granularity=PerGroupedChannel(8)),),
]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_pruned(dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    for number, chain in enumerate(PLAIN):
        (tmp_path / str(number)).mkdir()
        check(chain, dtype, release, packages, tmp_path / str(number), legal=True)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_one_inside_another(dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    for number, chain in enumerate(NESTED):
        (tmp_path / str(number)).mkdir()
        check(chain, dtype, release, packages, tmp_path / str(number), legal=release == "iOS18")
    vectors = (fit_lut(nbits=4, cluster_dim=2), prune_weights(sparsity=0.5, around="lut"))
    check(vectors, dtype, release, packages, tmp_path, legal=False)


@pytest.mark.parametrize("release", RELEASES)
def test_half_precision(release: str, packages: Any, tmp_path: Path) -> None:
    check((fit_cast(),), np.float32, release, packages, tmp_path, legal=True)
    with pytest.raises(NothingCompressed, match="1 not of a type"):
        run((fit_cast(),), packages["float16", release], tmp_path / "none.mlpackage")


@pytest.mark.parametrize("release", ["iOS18"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_inside_what_a_model_has_already(dtype: type, release: str, packages: Any, tmp_path: Path) -> None:
    """Each chain of several, one link a run."""
    for number, chain in enumerate(each for each in NESTED if len(each) > 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        source, edited = packages[dtype.__name__, release], program(dtype, release)
        stores = [chain[0].encoding] * (len(chain) - 1)
        stores.append("sparse" if getattr(chain[-1], "around", None) else chain[0].encoding)
        for step, (fit, store) in enumerate(zip(chain, stores, strict=True)):
            before = read_weights(source)["w"]
            pipeline = Pipeline(select_weights(threshold=8), fit, PASSES[f"replace_const_with_{store}"]())
            source, plan = apply(pipeline, source, folder / f"{step}.mlpackage")
            check_stated(plan, before, seen_by_coremltools(read_by_coremltools(source)))
            edited, _ = apply(pipeline, edited)
        assert seen_by_coremltools(edited).tobytes() == read_weights(source)["w"].tobytes()

"""What goes, against what coremltools' own pruning leaves of the same weights; and how nothing is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.optimize.coreml._quantization_passes import prune_weights as theirs

from milpass import apply, prune_weights, replace_const_with_sparse, select_weights
from milpass.fitting import mode_of
from milpass.fitting.fitted import NotFittable, Terms
from milpass.granularity import Channels, Ungroupable
from tests.packages import operations_of
from tests.with_coremltools.conftest import evaluated, read_by_coremltools
from tests.with_coremltools.programs import saved

SHAPES = pytest.mark.parametrize("shape", [(16, 24), (10, 9), (8, 12, 3), (8, 10, 3, 3)], ids=str)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32])
ALONG = pytest.mark.parametrize("dim", [0, 1])


def weight(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Every magnitude once, of either sign, so that no rule has to choose among equals."""
    rng = np.random.default_rng(len(shape))
    numbers = rng.permutation(np.arange(1, 1 + int(np.prod(shape)))) / 64
    return (numbers * rng.choice([-1, 1], numbers.shape)).reshape(shape).astype(dtype)


def ours(array: np.ndarray, **rule: Any) -> np.ndarray:
    options = prune_weights(**rule)
    groups = options.granularity.groups(array.shape, Channels(0, 1))
    return mode_of("sparse", options.mode).fit(array, options, Terms((), groups)).encoding.decode()


@SHAPES
@DTYPES
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, 1.01])
def test_thresholds(shape: tuple[int, ...], dtype: Any, threshold: float) -> None:
    array = weight(shape, dtype)
    array.flat[::5] = 0
    expected = theirs.decompress(theirs.compress_by_threshold(array, threshold, 0.0))
    assert np.array_equal(ours(array, threshold=threshold), expected)
    zeros = float(np.mean(expected == 0))
    for least in (zeros - 0.001, zeros, zeros + 0.001):
        if theirs.compress_by_threshold(array, threshold, least):
            assert np.array_equal(ours(array, threshold=threshold, minimum_sparsity=least), expected)
        else:
            with pytest.raises(NotFittable, match="would be zero"):
                ours(array, threshold=threshold, minimum_sparsity=least)


@SHAPES
@DTYPES
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 1.0])
def test_shares(shape: tuple[int, ...], dtype: Any, sparsity: float) -> None:
    """They round up where a share is no whole number of elements; these are."""
    array = weight(shape, dtype)
    expected = theirs.decompress(theirs.compress_by_magnitude(array, sparsity))
    assert np.array_equal(ours(array, sparsity=sparsity), expected)


@SHAPES
@DTYPES
@ALONG
@pytest.mark.parametrize("n_m", [(0, 2), (1, 2), (2, 4), (4, 4), (3, 5), (2, 7)], ids=str)
def test_neighbours(shape: tuple[int, ...], dtype: Any, dim: int, n_m: tuple[int, int]) -> None:
    array, along = weight(shape, dtype), ("output", "input")[dim]
    found = theirs.compress_by_nm_sparsity(array, n_m, dim)
    if found is None:
        with pytest.raises(Ungroupable, match=f"among {shape[dim]} {along} channels"):
            ours(array, n_m=n_m, along=along)
        return
    assert np.array_equal(ours(array, n_m=n_m, along=along), theirs.decompress(found))
    if dim == 1:
        assert np.array_equal(ours(array, n_m=n_m), theirs.decompress(found))


@SHAPES
@ALONG
@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 1.0])
def test_blocks(shape: tuple[int, ...], dim: int, size: int, sparsity: float) -> None:
    array, along = weight(shape, np.float32), ("output", "input")[dim]
    rule = {"sparsity": sparsity, "block_size": size, "along": along}
    found = theirs.compress_by_magnitude(array, sparsity, size, dim)
    if found is None:
        with pytest.raises(Ungroupable, match=f"among {shape[dim]} {along} channels"):
            ours(array, **rule)
        return
    expected, seen = theirs.decompress(found), ours(array, **rule)
    # Where the share ends within a block, they prune it and we do not.
    surplus = np.count_nonzero(seen) - np.count_nonzero(expected)
    assert not expected[seen == 0].any()
    assert 0 <= surplus <= size and (surplus == 0 or array.size * sparsity % size or shape[dim] % size)
    if dim == 0:
        assert np.array_equal(ours(array, sparsity=sparsity, block_size=size), seen)


@pytest.mark.parametrize("release", ["iOS16", "iOS18"])
@DTYPES
def test_an_empty_weight_is_stored_as_coremltools_stores_it(release: str, dtype: Any, tmp_path: Path) -> None:
    opset = getattr(ct.target, release)
    fp = types.fp16 if dtype is np.float16 else types.fp32

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 8), dtype=fp)], opset_version=opset)  # type: ignore[untyped-decorator]
    def net(x: Any) -> Any:
        w = mb.const(val=weight((16, 8), dtype), name="w")
        none = mb.const(val=weight((16, 8), dtype), name="none")
        return mb.linear(x=x, weight=w), mb.linear(x=x, weight=none)

    (held,) = (op for op in net.functions["main"].operations if op.outputs[0].name == "none")
    operands = {"nonzero_data": np.zeros(0, dtype), "mask": np.zeros((16, 8), types.np_uint1_dtype)}
    if release == "iOS16":
        operands |= {"mask": np.zeros(16, np.uint8), "shape": np.array([16, 8], np.uint32)}
    with net.functions["main"] as block:
        empty = mb.constexpr_sparse_to_dense(**operands, before_op=held, name="empty")
        block.replace_uses_of_var_after_op(anchor_op=held, old_var=held.outputs[0], new_var=empty)
        block.remove_ops([held])
    source = saved(net, tmp_path / "net.mlpackage", opset)
    pipeline = select_weights(threshold=8) | prune_weights(sparsity=1) | replace_const_with_sparse()
    out, _ = apply(pipeline, source, tmp_path / "out.mlpackage")
    stored, expected = operations_of(out)["w"], operations_of(out)["empty"]
    for field in ("inputs", "attributes"):
        assert operand(stored, field) == operand(expected, field)
    program = read_by_coremltools(out)
    (op,) = (op for op in program.functions["main"].operations if op.outputs[0].name == "w")
    assert evaluated(op)[0].shape == (16, 8) and not evaluated(op)[0].any()


def operand(operation: Any, field: str) -> Any:
    """The values under the mask, as they stand in the file."""
    held = getattr(operation, field)
    if "nonzero_data" not in held:
        return None
    found = held["nonzero_data"]
    return found.SerializeToString(deterministic=True)

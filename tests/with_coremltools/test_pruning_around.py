"""Pruning of what is compressed already, against coremltools' own joint pruning and decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from milpass import (
    NothingCompressed,
    Pipeline,
    apply,
    fit_affine,
    fit_lut,
    prune_weights,
    read_weights,
    replace_const_with_sparse,
    select_weights,
)
from milpass.granularity import PerBlock, PerChannel, PerTensor
from milpass.passes import PASSES
from milpass.plan import Replaced, Skipped
from tests.with_coremltools.conftest import evaluated, read_by_coremltools
from tests.with_coremltools.programs import saved

FITS: dict[str, Any] = {
    "table": fit_lut(nbits=4),
    "tables": fit_lut(nbits=3, granularity=PerChannel()),
    "numbers": fit_affine(),
    "blocks of numbers": fit_affine(nbits=4, granularity=PerBlock(8)),
    "symmetric numbers": fit_affine(mode="linear_symmetric", granularity=PerTensor()),
}
EACH = pytest.mark.parametrize("fit", list(FITS.values()), ids=list(FITS))
# Ours, and what it is called there.
RULES: list[tuple[dict[str, Any], Any]] = [
    ({"threshold": 0.1}, cto.OpThresholdPrunerConfig(0.1, 0.0, 8)),
    ({"sparsity": 1}, cto.OpMagnitudePrunerConfig(target_sparsity=1.0, weight_threshold=8)),
]


def program(release: Any = ct.target.iOS18) -> Any:
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 32), dtype=types.fp16)], opset_version=release)  # type: ignore[untyped-decorator]
    def net(x: Any) -> Any:
        drawn = (np.random.default_rng(7).standard_t(4, (16, 32)) * 0.2).astype(np.float16)
        held = mb.const(val=drawn, name="w")
        return mb.linear(x=x, weight=held, bias=np.zeros(16, np.float16), name="product")

    return net


def storing(fit: Any) -> Any:
    return PASSES[f"replace_const_with_{fit.encoding}"]()


def compressed(fit: Any, folder: Path, release: Any = ct.target.iOS18) -> Path:
    """A package whose weight is compressed already."""
    plain = saved(program(release), folder / "plain.mlpackage", release)
    pipeline = Pipeline(select_weights(threshold=8), fit, storing(fit))
    return Path(apply(pipeline, plain, folder / "compressed.mlpackage")[0])


def weight_of(package: Path) -> Any:
    """The operation that gives the only compressed weight, as coremltools reads it."""
    operations = read_by_coremltools(package).functions["main"].operations
    (linear,) = (op for op in operations if op.op_type == "linear")
    return linear.weight.op


def numbers_of(op: Any) -> list[bytes]:
    """Every operand of the operation that makes what is under the mask, by name."""
    made = op.nonzero_data.op
    held = {name: var.val for name, var in made.inputs.items() if var is not None}
    return sorted(name.encode() + np.asarray(array).tobytes() for name, array in held.items())


@EACH
@pytest.mark.parametrize(("rule", "config"), RULES, ids=[str(rule) for rule, _ in RULES])
def test_the_same_as_coremltools_joint_pruning(fit: Any, rule: Any, config: Any, tmp_path: Path) -> None:
    source = compressed(fit, tmp_path)
    before = evaluated(weight_of(source))[0]
    pipeline = Pipeline(
        select_weights(threshold=8), prune_weights(**rule, around=fit.encoding), replace_const_with_sparse()
    )
    out, plan = apply(pipeline, source, tmp_path / "out.mlpackage")
    model = ct.models.MLModel(str(source), skip_model_load=True)
    theirs = cto.prune_weights(model, cto.OptimizationConfig(config), joint_compression=True)
    theirs.save(str(tmp_path / "theirs.mlpackage"))
    ours, expected = weight_of(Path(out)), weight_of(tmp_path / "theirs.mlpackage")
    assert ours.op_type == expected.op_type == "constexpr_sparse_to_dense"
    assert ours.nonzero_data.op.op_type == expected.nonzero_data.op.op_type
    assert numbers_of(ours) == numbers_of(expected)
    seen = evaluated(ours)[0]
    assert seen.tobytes() == evaluated(expected)[0].tobytes() == read_weights(out)["w"].tobytes()
    assert (seen[seen != 0] == before[seen != 0]).all() and (np.abs(before[seen == 0]) <= 0.1).all() == (
        "threshold" in rule
    )
    (row,) = plan.replaced
    assert isinstance(row.entry, Replaced) and row.entry.result
    lost = before.astype(np.float64) - seen
    assert row.entry.result.max_error == np.abs(lost).max()
    assert row.entry.result.squared_error == pytest.approx(np.square(lost).sum(), rel=1e-12)


@EACH
def test_at_once_or_one_after_the_other_in_both_homes(fit: Any, tmp_path: Path) -> None:
    prune = prune_weights(n_m=(2, 4), around=fit.encoding)
    later = Pipeline(select_weights(threshold=8), prune, replace_const_with_sparse())
    at_once = Pipeline(select_weights(threshold=8), fit, prune, replace_const_with_sparse())
    source = compressed(fit, tmp_path)
    first, _ = apply(later, source, tmp_path / "later.mlpackage")
    second, plan = apply(at_once, tmp_path / "plain.mlpackage", tmp_path / "once.mlpackage")
    stored = numbers_of(weight_of(Path(first)))
    assert numbers_of(weight_of(Path(second))) == stored
    for pipelines in ((Pipeline(select_weights(threshold=8), fit, storing(fit)), later), (at_once,)):
        edited = program()
        for pipeline in pipelines:
            edited, _ = apply(pipeline, edited)
        edited.validate()
        (linear,) = edited.functions["main"].find_ops(op_type="linear")
        assert numbers_of(linear.weight.op) == stored
    (row,) = at_once.plan(tmp_path / "plain.mlpackage").replaced
    (done,) = plan.replaced
    assert isinstance(row.entry, Replaced) and isinstance(done.entry, Replaced)
    assert row.entry.nbytes and done.entry.nbytes and row.entry.nbytes >= done.entry.nbytes


@pytest.mark.parametrize("fit", [fit_lut(nbits=4), fit_affine()], ids=repr)
def test_what_a_model_of_ios16_has_is_pruned_when_it_is_raised(fit: Any, tmp_path: Path) -> None:
    source = compressed(fit, tmp_path, ct.target.iOS16)
    before = read_weights(source)["w"]
    prune = prune_weights(sparsity=0.5, around=fit.encoding)
    pipeline = Pipeline(select_weights(threshold=8), prune, replace_const_with_sparse())
    with pytest.raises(NothingCompressed) as refused:
        apply(pipeline, source, tmp_path / "none.mlpackage")
    (reason,) = (row.entry for row in refused.value.plan.rows if row.weight.name == "w")
    assert reason == Skipped("opset", f"iOS16 has no {fit.encoding} inside sparse")
    out, _ = apply(pipeline, source, tmp_path / "out.mlpackage", target="iOS18")
    seen = evaluated(weight_of(Path(out)))[0]
    assert (seen[seen != 0] == before[seen != 0]).all() and np.count_nonzero(seen) <= 256
    assert np.abs(before[seen == 0]).max() <= np.abs(seen[seen != 0]).min()


def test_tables_of_vectors_are_left(tmp_path: Path) -> None:
    source = compressed(fit_lut(nbits=4, cluster_dim=2), tmp_path)
    prune = prune_weights(sparsity=0.5, around="lut")
    pipeline = Pipeline(select_weights(threshold=8), prune, replace_const_with_sparse())
    with pytest.raises(NothingCompressed) as refused:
        apply(pipeline, source, tmp_path / "none.mlpackage")
    (reason,) = (row.entry for row in refused.value.plan.rows if row.weight.name == "w")
    assert reason == Skipped("data", "tables of vectors cannot be pruned: a mask is of single elements")

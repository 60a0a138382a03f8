"""Programs raised to a later release: constants already compressed are spelled anew, and mean the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest

from milpass import UsageError, apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from tests.packages import blob_bytes, model_of, operations_of
from tests.with_coremltools.programs import (
    cast_weight,
    chain,
    dense,
    palettized,
    pruned,
    quantized,
    saved,
    scaled,
)

PIPELINE = select_weights(threshold=100) | fit_lut(nbits=3) | replace_const_with_lut()
OPERATIONS = {
    "palettized": "constexpr_lut_to_dense",
    "quantized": "constexpr_blockwise_shift_scale",
    "scaled": "constexpr_blockwise_shift_scale",
    "pruned": "constexpr_sparse_to_dense",
    "dense": "constexpr_lut_to_dense",
    "cast": "constexpr_cast",
}


def every_kind(release: Any) -> Any:
    return chain(palettized, quantized, scaled, pruned, dense, release=release)


@pytest.mark.parametrize("release", [ct.target.iOS16, ct.target.iOS17])
@pytest.mark.parametrize("program", [every_kind, cast_weight])
def test_constants_spelled_anew_decode_to_the_same(
    program: Callable[[Any], Any], release: Any, tmp_path: Path, decoded: Callable[[Path], dict[Any, Any]]
) -> None:
    source = saved(program(release), tmp_path / "m.mlpackage", release)
    out, plan = apply(PIPELINE, source, tmp_path / "out.mlpackage", target="iOS18")
    before, after = decoded(source), decoded(out)
    names = {row.weight.name for row in plan.rows if row.weight.rank == 2}
    assert [row.weight.name for row in plan.replaced] == ["dense"] and "dense" in names and len(names) > 1
    for name in names - {"dense"}:
        assert after["main", name].dtype == before["main", name].dtype
        np.testing.assert_array_equal(after["main", name], before["main", name])
        np.testing.assert_array_equal(read_weights(source)[name], before["main", name])
        np.testing.assert_array_equal(read_weights(out)[name], before["main", name])
    assert {name: operations_of(out)[name].type for name in names} == {n: OPERATIONS[n] for n in names}
    assert model_of(out).specificationVersion == 9 and any("spelled anew" in note for note in plan.notes)


def test_operands_are_inputs_and_their_bytes_the_same(tmp_path: Path) -> None:
    source = saved(chain(palettized, dense), tmp_path / "m.mlpackage")
    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage", target="iOS18")
    old, new = operations_of(source)["palettized"], operations_of(out)["palettized"]
    assert set(new.attributes) == {"name"} and set(new.inputs) == {"indices", "lut"}
    values = {name: argument.arguments[0].value for name, argument in new.inputs.items()}
    for name, value in values.items():
        assert blob_bytes(out, value) == blob_bytes(source, old.attributes[name])
    lengths = [d.constant.size for d in values["lut"].type.tensorType.dimensions]
    assert lengths == [1, 1, 16, 1]


def test_blobs_that_were_spelled_anew_are_stored_once(tmp_path: Path) -> None:
    source = saved(chain(palettized, quantized, pruned, dense), tmp_path / "m.mlpackage")
    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage", target="iOS18")
    sizes = [(p / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size for p in (source, out)]
    assert sizes[1] < sizes[0], "only the dense weight shrank; nothing old was left beside the new"


def test_without_a_target_nothing_is_spelled_anew(tmp_path: Path) -> None:
    source = saved(chain(palettized, quantized, pruned, dense), tmp_path / "m.mlpackage")
    fit = select_weights(threshold=100) | fit_lut(nbits=4) | replace_const_with_lut()
    out, _ = apply(fit, source, tmp_path / "out.mlpackage")
    for name in ("palettized", "quantized", "pruned"):
        assert operations_of(out)[name].attributes.keys() == operations_of(source)[name].attributes.keys()


@pytest.mark.parametrize("target", ["iOS15", "iOS16", "ios18", "iOS27"])
def test_targets_that_are_older_or_none(target: str, tmp_path: Path) -> None:
    source = saved(chain(dense, release=ct.target.iOS17), tmp_path / "m.mlpackage", ct.target.iOS17)
    with pytest.raises(UsageError, match=r"target of .*: got .*, needs "):
        apply(PIPELINE, source, tmp_path / "out.mlpackage", target=target)
    assert not (tmp_path / "out.mlpackage").exists()

"""Whole packages: what coremltools decodes from the result is what the plan states, all else as it was.

The example and the models of MILPASS_MODELS are tried with few bits of each kind; `make test-models` tries
every package of a folder with everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import (
    ModelError,
    NothingCompressed,
    Pipeline,
    apply,
    fit_lut,
    replace_const_with_lut,
    select_weights,
)
from milpass.plan import Entry, Plan, Replaced, Skipped
from milpass.selectors import anything
from milpass.targets import open_target
from milpass.targets.opsets import OPSETS
from milpass.weight import Key
from tests.packages import digest, masked, model_of
from tests.with_coremltools.conftest import MODELS, ROOT, read_by_coremltools

EXAMPLE = ROOT / "examples" / "digits.mlpackage"
REAL = sorted((MODELS / "mlprogram").glob("*.mlpackage"))
NO_MODELS = pytest.mark.skip(reason="no folder of further models; MILPASS_MODELS may name one")
ALL = [Path(folder) for folder in [os.environ.get("MILPASS_ALL_MODELS", "")] if folder]

Decode = Callable[[Path], dict[str, Any]]


def fits(*bits: int) -> list[fit_lut]:
    fitted = [fit_lut(mode=mode, nbits=nbits) for mode in ("kmeans", "uniform") for nbits in bits]
    return [*fitted, fit_lut(mode="unique")]


@pytest.mark.parametrize("fit", fits(1, 2, 4, 6, 8), ids=repr)
@pytest.mark.parametrize(
    "source",
    [EXAMPLE, *(REAL or [pytest.param(Path("none"), marks=NO_MODELS)])],
    ids=lambda path: path.stem,
)
def test_decodes_to_what_the_plan_states(source: Path, fit: fit_lut, tmp_path: Path, decoded: Decode) -> None:
    check_run(source, fit, None, tmp_path, decoded)


@pytest.mark.parametrize("fit", fits(3, 8), ids=repr)
@pytest.mark.parametrize("source", [EXAMPLE, *REAL], ids=lambda path: path.stem)
def test_raised_to_ios18(source: Path, fit: fit_lut, tmp_path: Path, decoded: Decode) -> None:
    check_run(source, fit, "iOS18", tmp_path, decoded)


@pytest.mark.skipif(not ALL, reason="`make test-models FOLDER=...` names a folder of packages")
@pytest.mark.parametrize("target", [None, "iOS18"])
@pytest.mark.parametrize("fit", fits(4, 6, 8), ids=repr)
@pytest.mark.parametrize(
    "source", sorted(p for folder in ALL for p in folder.rglob("*.mlpackage")), ids=lambda path: path.stem
)
def test_every_package(source: Path, fit: fit_lut, target: str, tmp_path: Path, decoded: Decode) -> None:
    check_run(source, fit, target, tmp_path, decoded)


@pytest.mark.parametrize("source", [EXAMPLE, *REAL], ids=lambda path: path.stem)
def test_in_coremltools_hands(source: Path, tmp_path: Path) -> None:
    check_program(source, tmp_path)


@pytest.mark.skipif(not ALL, reason="`make test-models FOLDER=...` names a folder of packages")
@pytest.mark.parametrize(
    "source", sorted(p for folder in ALL for p in folder.rglob("*.mlpackage")), ids=lambda path: path.stem
)
def test_every_package_in_coremltools_hands(source: Path, tmp_path: Path) -> None:
    check_program(source, tmp_path)


def check_program(source: Path, folder: Path) -> None:
    """The program that coremltools makes of a package is compressed as the package itself is."""
    try:
        package = open_target(source)
    except ModelError:
        return
    if is_pipeline(source):
        return  # which is no program
    pipeline = select_weights(threshold=8, where=anything) | fit_lut(nbits=4) | replace_const_with_lut()
    program = read_by_coremltools(source)
    if package.format == "iOS15":
        with pytest.raises(NothingCompressed) as refusal:
            apply(pipeline, program)
        assert any("minimum_deployment_target" in str(row.entry) for row in refusal.value.plan.rows)
        return
    expected, found = (outcomes_of(pipeline, model, folder / "out.mlpackage") for model in (source, program))
    assert {key: found[key] for key in expected} == expected
    inline = [found[key] for key in found.keys() - expected.keys()]  # coremltools makes constants of them
    assert set(inline) <= {"size"}
    program.validate()


def outcomes_of(pipeline: Pipeline, model: Any, out: Path) -> dict[Key, Any]:
    """What came of each weight: the result, or the code of the reason."""
    try:
        _, plan = apply(pipeline, model, out if isinstance(model, Path) else None)
    except NothingCompressed as nothing:
        plan = nothing.plan
    return {row.weight.key: came_of(row.entry) for row in plan.rows}


def came_of(entry: Entry) -> Any:
    return entry.code if isinstance(entry, Skipped) else getattr(entry, "result", None)


def check_run(source: Path, fit: fit_lut, target: str | None, folder: Path, decoded: Decode) -> None:
    """Carry it out and check everything, or check that the reasons are told where nothing was done."""
    before = digest(source)
    pipeline = select_weights(threshold=8, where=anything) | fit | replace_const_with_lut()
    try:
        out, plan = apply(pipeline, source, folder / "out.mlpackage", target=target)
    except NothingCompressed as nothing:
        assert all(isinstance(row.entry, Skipped) and row.entry.reason for row in nothing.plan.rows)
        return
    if is_pipeline(source):
        return  # its members are decoded in test_pipelines.py
    check_values(source, plan, decoded(out), fit)
    check_model(source, out, plan)
    assert digest(source) == before


def is_pipeline(path: Path) -> bool:
    return str(model_of(path).WhichOneof("Type")).startswith("pipeline")


def check_values(source: Path, plan: Plan, results: dict[str, Any], fit: fit_lut) -> None:
    """Every constant by its key, as coremltools decodes it."""
    for weight in open_target(source).weights():
        (row,) = [row for row in plan.rows if row.weight.key == weight.key]
        key = (weight.key.function, weight.key.name)
        if isinstance(row.entry, Replaced):
            check_result(row.entry, weight.load(), results[key], fit)
        elif not weight.encoded:
            np.testing.assert_array_equal(results[key], weight.load())


def check_result(entry: Replaced, original: np.ndarray, result: np.ndarray, fit: fit_lut) -> None:
    """The plan's figures, computed anew from coremltools' own decoding."""
    assert entry.result and (result.shape, result.dtype) == (original.shape, original.dtype)
    if fit.mode == "unique":
        assert result.tobytes() == original.tobytes() and entry.result.squared_error == 0
        return
    assert len(set(result.reshape(-1).tolist())) <= 1 << entry.result.nbits  # np.unique may sort fp16 wrongly
    errors = np.abs(result.astype(np.float64) - original.astype(np.float64))
    np.testing.assert_allclose(entry.result.squared_error, np.sum(errors**2), rtol=1e-9)
    assert entry.result.max_error == errors.max()
    signal, noise = np.sum(np.square(original.astype(np.float64))), np.sum(errors**2)
    if signal and noise:
        np.testing.assert_allclose(entry.result.snr, 10 * np.log10(signal / noise), rtol=1e-9)


def check_model(source: Path, out: Path, plan: Plan) -> None:
    """The message is the source's, raised by hand where it was raised, but for the constants stored anew."""
    model = model_of(source)
    assert plan.formats
    before, after = plan.formats
    anew = [row.weight.name for row in plan.replaced]
    if before != after:
        raise_by_hand(model, OPSETS[before], OPSETS[after])
        anew += [row.weight.name for row in plan.rows if row.weight.encoded and after == "iOS18"]
    assert masked(model_of(out), anew) == masked(model, anew)


def raise_by_hand(model: Any, before: tuple[int, str], after: tuple[int, str]) -> None:
    model.specificationVersion = max(model.specificationVersion, after[0])
    for function in model.mlProgram.functions.values():
        assert function.opset == before[1]
        function.block_specializations[after[1]].CopyFrom(function.block_specializations[before[1]])
        del function.block_specializations[before[1]]
        function.opset = after[1]

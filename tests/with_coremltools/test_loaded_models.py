"""`apply` on an `MLModel`: what is in memory counts, an `MLModel` comes back, files stay as they are."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import coremltools as ct
import pytest

from milpass import (
    NothingCompressed,
    UsageError,
    apply,
    fit_lut,
    replace_const_with_lut,
    select_weights,
)
from tests.packages import digest, masked, model_of, operations_of
from tests.with_coremltools.conftest import ROOT
from tests.with_coremltools.programs import chain, converted, dense, palettized

EXAMPLE = ROOT / "examples" / "digits.mlpackage"
PIPELINE = select_weights(threshold=100) | fit_lut(nbits=4) | replace_const_with_lut()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path / "m.mlpackage")


@pytest.fixture(autouse=True)
def folder_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the test's own: others may make temporary packages at the same time."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


def temporary() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("milpass-*.mlpackage")}


def test_gives_a_model_equal_to_what_the_package_gives(package: Path, tmp_path: Path) -> None:
    from_path, expected = apply(PIPELINE, package, tmp_path / "path.mlpackage")
    model = ct.models.MLModel(str(package), skip_model_load=True)
    before = digest(package)
    result, plan = apply(PIPELINE, model)
    assert isinstance(result, ct.models.MLModel) and str(plan) == str(expected)
    result.save(str(tmp_path / "saved.mlpackage"))
    weights = "Data/com.apple.CoreML/weights/weight.bin"
    assert (tmp_path / "saved.mlpackage" / weights).read_bytes() == (from_path / weights).read_bytes()
    assert masked(model_of(tmp_path / "saved.mlpackage")) == masked(model_of(from_path))
    assert digest(package) == before


def test_edits_in_memory_count(package: Path) -> None:
    model = ct.models.MLModel(str(package), skip_model_load=True)
    model.short_description = "edited in memory"
    result, _ = apply(PIPELINE, model)
    assert result.short_description == "edited in memory"
    assert model_of(package).description.metadata.shortDescription.startswith("Classifies")


def test_with_a_destination_it_is_written_there(package: Path, tmp_path: Path) -> None:
    held = temporary()
    model = ct.models.MLModel(str(package), skip_model_load=True)
    result, _ = apply(PIPELINE, model, tmp_path / "out.mlpackage")
    assert result.package_path == str(tmp_path / "out.mlpackage") and temporary() == held
    assert operations_of(tmp_path / "out.mlpackage")["conv2_weight_to_fp16"].type == "constexpr_lut_to_dense"


def test_identifiers_derive_from_the_content(package: Path, tmp_path: Path) -> None:
    model = ct.models.MLModel(str(package), skip_model_load=True)
    manifests = []
    for name in ("a", "b"):
        apply(PIPELINE, model, tmp_path / f"{name}.mlpackage")
        manifests.append(json.loads((tmp_path / f"{name}.mlpackage" / "Manifest.json").read_text()))
    assert manifests[0] == manifests[1]
    items = {item["path"]: item["name"] for item in manifests[0]["itemInfoEntries"].values()}
    assert items == {"com.apple.CoreML/model.mlmodel": "model.mlmodel", "com.apple.CoreML/weights": "weights"}


def test_a_model_just_converted() -> None:
    result, plan = apply(PIPELINE, converted(chain(palettized, dense)))
    assert [row.weight.name for row in plan.replaced] == ["dense"]
    _, plan = apply(PIPELINE, converted(chain(palettized, dense)), target="iOS18")
    assert plan.formats == ("iOS16", "iOS18")
    assert result.get_spec().specificationVersion == 7


def test_the_models_own_package_is_no_destination(package: Path) -> None:
    model = ct.models.MLModel(str(package), skip_model_load=True)
    with pytest.raises(UsageError, match="the input itself"):
        apply(PIPELINE, model, package, overwrite=True)


def test_a_failed_run_leaves_no_temporary_package(package: Path) -> None:
    held = temporary()
    model = ct.models.MLModel(str(package), skip_model_load=True)
    with pytest.raises(ZeroDivisionError):
        apply(PIPELINE, model, progress=lambda *_: 1 / 0)
    assert temporary() == held


@pytest.mark.parametrize("given", [3, None, b"m.mlpackage", object()])
def test_what_is_no_model_is_refused(given: object) -> None:
    with pytest.raises(
        UsageError, match=r"needs the path of an \.mlpackage or \.mlmodel, an MLModel, or a Program"
    ):
        apply(PIPELINE, given, "out.mlpackage")


def test_nothing_is_kept_beside_no_destination(package: Path, tmp_path: Path) -> None:
    model = ct.models.MLModel(str(package), skip_model_load=True)
    with pytest.raises(UsageError, match="no destination to keep them beside"):
        apply(PIPELINE, model, resume=True)
    apply(PIPELINE, model, cache=tmp_path / "cache", resume=True, out=tmp_path / "out.mlpackage")
    assert list((tmp_path / "cache").iterdir())


def test_an_executor_sees_the_files_of_a_model(
    package: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "milpass")
    model = ct.models.MLModel(str(package), skip_model_load=True)
    apply(PIPELINE, model, tmp_path / "plain.mlpackage")
    assert "found elsewhere" not in caplog.text
    with ThreadPoolExecutor(2) as executor:
        apply(PIPELINE, model, tmp_path / "out.mlpackage", executor=executor)
    assert "found elsewhere" in caplog.text
    one, other = (digest(tmp_path / f"{name}.mlpackage") for name in ("plain", "out"))
    assert {name: told[0] for name, told in one.items()} == {name: told[0] for name, told in other.items()}


def test_a_path_needs_a_destination(package: Path) -> None:
    with pytest.raises(UsageError, match="no destination"):
        apply(PIPELINE, package)


def test_a_network_without_weights_is_no_error_of_its_own() -> None:
    spec = ct.proto.Model_pb2.Model(specificationVersion=4)
    spec.neuralNetwork.layers.add(name="a").softmax.SetInParent()
    model = ct.models.MLModel(spec, skip_model_load=True)
    with pytest.raises(NothingCompressed, match="the model has none"):
        apply(PIPELINE, model)

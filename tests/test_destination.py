"""Where results are written: whole or not at all, and never over something that must not go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from milpass import (
    NothingCompressed,
    Pipeline,
    UsageError,
    apply,
    fit_lut,
    replace_const_with_lut,
    select_weights,
)
from tests.packages import Const, Op, digest, write_package

PIPELINE = Pipeline(select_weights(threshold=16), fit_lut(nbits=2), replace_const_with_lut())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    array = np.arange(128, dtype=np.float16).reshape(16, 8)
    steps = [Const("w", array), Op("linear", {"x": "x", "weight": "w"}, "y")]
    return write_package(tmp_path / "m.mlpackage", steps)


def assert_refused(source: Path, out: Path, message: str, *, overwrite: bool = False) -> None:
    before = {name: digest(source.parent / name) for name in os.listdir(source.parent)}
    with pytest.raises(UsageError, match=message):
        apply(PIPELINE, source, out, overwrite=overwrite)
    assert {name: digest(source.parent / name) for name in os.listdir(source.parent)} == before


def test_an_existing_destination_needs_leave(source: Path, tmp_path: Path) -> None:
    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage")
    assert_refused(source, out, "a destination that exists")
    apply(
        select_weights(threshold=16) | fit_lut(nbits=1) | replace_const_with_lut(),
        source,
        out,
        overwrite=True,
    )
    assert sorted(os.listdir(tmp_path)) == ["m.mlpackage", "out.mlpackage"]


def test_only_packages_are_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.txt").write_text("years of work")
    assert_refused(source, tmp_path / "documents", "something that is no package", overwrite=True)
    (tmp_path / "file").write_text("a file")
    assert_refused(source, tmp_path / "file", "something that is no package", overwrite=True)


def test_a_link_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage")
    (tmp_path / "link.mlpackage").symlink_to(out)
    assert_refused(source, tmp_path / "link.mlpackage", "no package", overwrite=True)


def test_the_input_is_never_the_destination(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    for out in (source, tmp_path / "link", source / "inside.mlpackage"):
        assert_refused(source, out, "the input itself", overwrite=True)
    assert_refused(source, tmp_path, "a folder around the input", overwrite=True)


def test_nothing_is_written_inside_another_package(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mlpackage"
    shutil.copytree(source, other)
    for place in (other / "new", other / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"):
        assert_refused(source, place, "a place inside a package", overwrite=True)


def test_a_package_has_no_name_of_a_file(source: Path, tmp_path: Path) -> None:
    assert_refused(source, tmp_path / "out.mlmodel", "the name of a file, needs the path of an .mlpackage")


def test_the_folder_around_must_exist(source: Path, tmp_path: Path) -> None:
    assert_refused(source, tmp_path / "no" / "out.mlpackage", "no folder")
    assert_refused(source, source.parent / "m.mlpackage.txt" / "x", "no folder")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_when_writing_fails(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage")
    before = {name: digest(tmp_path / name) for name in os.listdir(tmp_path)}
    monkeypatch.setattr("milpass.targets.mlpackage.edit.PackageEdit.finish", fail)
    with pytest.raises((UsageError, KeyboardInterrupt), match=r"No space|^$"):
        apply(PIPELINE, source, out, overwrite=True)
    assert {name: digest(tmp_path / name) for name in os.listdir(tmp_path)} == before


def test_the_old_package_stays_when_the_move_fails(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = apply(PIPELINE, source, tmp_path / "out.mlpackage")
    before = {name: digest(tmp_path / name) for name in os.listdir(tmp_path)}
    rename = Path.rename
    monkeypatch.setattr("milpass.targets.mlpackage.moving.exchange", lambda *_: False)

    def fail(path: Path, target: Path) -> Path:
        if path.name.endswith("milpass-partial"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(UsageError, match="Input/output error"):
        apply(PIPELINE, source, out, overwrite=True)
    assert {name: digest(tmp_path / name) for name in os.listdir(tmp_path)} == before


def test_nothing_is_written_when_nothing_is_compressed(source: Path, tmp_path: Path) -> None:
    pipeline = select_weights(threshold=10_000) | fit_lut(nbits=2) | replace_const_with_lut()
    with pytest.raises(NothingCompressed) as caught:
        apply(pipeline, source, tmp_path / "out.mlpackage")
    assert len(caught.value.plan.rows) == 1 and caught.value.exit_code == 3
    assert os.listdir(tmp_path) == ["m.mlpackage"]


def test_the_same_run_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    written = [apply(PIPELINE, source, tmp_path / f"{n}.mlpackage")[0] for n in "ab"]
    first, second = ({k: v[0] for k, v in digest(path).items()} for path in written)
    assert first == second

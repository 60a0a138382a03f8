"""A copy is read again before it takes its place: what differs from the plan, or from the source, is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milpass
from milpass import (
    fit_affine,
    fit_lut,
    paging,
    prune_weights,
    replace_const_with_affine,
    replace_const_with_lut,
    replace_const_with_sparse,
    select_weights,
)
from milpass.dialects import values
from milpass.encodings import Dense, Indices, Lut
from milpass.errors import VerificationError
from milpass.fitting.measuring import measured
from milpass.targets.mlpackage import blobs

DIGITS = Path(__file__).parents[1] / "examples" / "digits.mlpackage"

PIPELINES = {
    "tables": select_weights(512) | fit_lut(nbits=4) | replace_const_with_lut(),
    "numbers": select_weights(512) | fit_affine() | replace_const_with_affine(),
    "pruned": select_weights(512) | prune_weights(sparsity=0.5) | replace_const_with_sparse(),
}


def damaging(monkeypatch: pytest.MonkeyPatch, which: Callable[[int, np.ndarray], bool], byte: int) -> None:
    """Let the writer flip a bit of the blobs of a kind."""
    append = blobs.BlobWriter.append

    def damaged(self: Any, code: int, nbytes: int, pieces: Any, padding: int = 0) -> int:
        data = np.concatenate([np.ascontiguousarray(piece).reshape(-1).view(np.uint8) for piece in pieces])
        if which(code, data):
            data[byte] ^= 1
        return append(self, code, nbytes, [data], padding)

    monkeypatch.setattr(blobs.BlobWriter, "append", damaged)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_flipped_bit_of_what_was_fitted_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaging(monkeypatch, lambda code, data: code in (3, 4) and data.nbytes > 500, byte=200)
    with pytest.raises(VerificationError, match="cannot confirm what it wrote: got") as told:
        milpass.apply(PIPELINES[name], DIGITS, tmp_path / "out.mlpackage")
    assert told.value.exit_code == 5 and list(tmp_path.iterdir()) == []
    milpass.apply(PIPELINES[name], DIGITS, tmp_path / "out.mlpackage", verify=False)


def test_a_flipped_bit_of_what_was_copied_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    damaging(monkeypatch, lambda code, data: code == 1 and data.nbytes > 500, byte=100)
    nothing_large = select_weights(5000) | fit_lut(nbits=8) | replace_const_with_lut()
    with pytest.raises(VerificationError, match="got other values than before"):
        milpass.apply(nothing_large, DIGITS, tmp_path / "out.mlpackage")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("release", ["iOS16", "iOS18"])
@pytest.mark.parametrize("name", PIPELINES)
def test_verified_or_not_the_same_bytes_are_written(name: str, release: str, tmp_path: Path) -> None:
    written = []
    for verify in (True, False):
        out = tmp_path / f"{verify}.mlpackage"
        milpass.apply(PIPELINES[name], DIGITS, out, target=release, verify=verify)
        written.append({p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert written[0] == written[1]


@pytest.mark.parametrize("release", ["iOS16", "iOS18"])
@pytest.mark.parametrize("nbits", [1, 4, 6, 8])
def test_indices_packed_while_they_are_written_are_the_same_bytes(
    release: str, nbits: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline, written = select_weights(512) | fit_lut(nbits=nbits) | replace_const_with_lut(), []
    for many in (1 << 25, 1):
        monkeypatch.setattr(values, "MANY", many)
        monkeypatch.setattr(paging, "LARGE", 1 << 12 if many == 1 else 1 << 26)
        out = tmp_path / f"{many}.mlpackage"
        milpass.apply(pipeline, DIGITS, out, target=release)
        written.append({p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert written[0] == written[1]


def test_the_input_is_looked_at_again_not_what_was_read(tmp_path: Path) -> None:
    """A source that changes while it is fitted does not pass as what was compressed."""
    source = tmp_path / "in.mlpackage"
    shutil.copytree(DIGITS, source)
    weights = next(source.rglob("weight.bin"))

    def change(name: str, number: int, count: int) -> None:
        if number == count:
            content = bytearray(weights.read_bytes())
            content[-2000:] = bytes(2000)
            weights.write_bytes(content)

    with pytest.raises(milpass.MilpassError):
        milpass.apply(PIPELINES["tables"], source, tmp_path / "out.mlpackage", progress=change)
    assert not (tmp_path / "out.mlpackage").exists()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("size", [1, 7, 100, (1 << 20) + 3])
def test_errors_are_those_of_numpy(dtype: Any, size: int) -> None:
    rng = np.random.default_rng(size)
    array, table = (
        rng.standard_normal((1, size)).astype(dtype),
        rng.standard_normal((1, 1, 16, 1)).astype(dtype),
    )
    indices = rng.integers(0, 16, (1, size)).astype(np.uint8)
    found = measured(array, Lut(Indices.of(indices, 4), Dense(table)))
    errors = array.astype(np.float64) - table.reshape(-1)[indices].astype(np.float64)
    assert found.squared_error == pytest.approx(np.square(errors).sum(), rel=1e-12)
    assert found.max_error == np.abs(errors).max()
    assert found.signal == pytest.approx(np.square(array.astype(np.float64)).sum(), rel=1e-12)

"""Peak memory of the command, imports and mapped files included, does not grow with the weights."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.timing import run_command
from milpass import apply, parse
from tests.packages import Const, Op, digest, write_package

COLUMNS, TILE = 4096, 256
# Where the metadata of the first blob says how many bytes it has.
SIZE_AT = 64 + 8
MOST = 200
# What else is done with one weight of less than a gigabyte, held to less.
SMALLER, LESS = 200, 150
MILPASS = [sys.executable, "-m", "milpass"]
PIPELINES = {
    "numbers": "select_weights() | fit_affine() | replace_const_with_affine()",
    "numbers in blocks": "select_weights() | fit_affine(nbits=4, granularity=PerBlock(256)) "
    "| replace_const_with_affine()",
    "pruned": "select_weights() | prune_weights(sparsity=0.5) | replace_const_with_sparse()",
    "decompressed": "decompress()",
}


def package_of(path: Path, megabytes: int) -> Path:
    """A package with one fp16 weight of so many megabytes, the same two again and again."""
    tile = np.random.default_rng(5).normal(size=(TILE, COLUMNS)).astype(np.float16)
    count = megabytes * 10**6 // tile.nbytes

    def grow(model: Any) -> None:
        (block,) = model.mlProgram.functions["main"].block_specializations.values()
        (const,) = (each for each in block.operations if each.type == "const")
        for kind in (const.outputs[0].type, const.attributes["val"].type):
            kind.tensorType.dimensions[0].constant.size = count * TILE

    write_package(path, [Const("w", tile), Op("linear", {"x": "x", "weight": "w"}, "y")], change=grow)
    with open(path / "Data/com.apple.CoreML/weights/weight.bin", "r+b") as file:
        file.seek(SIZE_AT)
        file.write(struct.pack("<Q", count * tile.nbytes))
        file.seek(0, os.SEEK_END)
        for _ in range(count - 1):
            file.write(tile.tobytes())
    return path


def peak(*arguments: str | Path) -> float:
    """The greatest resident memory of a run, in MB."""
    return run_command([*MILPASS, *map(str, arguments), "--overwrite"]).megabytes


def test_a_gigabyte_is_palettized_in_bounded_memory(tmp_path: Path) -> None:
    source = package_of(tmp_path / "m.mlpackage", 1000)
    used = peak("palettize", source, "-o", tmp_path / "out.mlpackage", "--nbits", "4")
    assert used < MOST
    assert digest(tmp_path / "out.mlpackage") != digest(source)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One large weight, plain and compressed."""
    folder = tmp_path_factory.mktemp("large")
    plain, compressed = package_of(folder / "plain.mlpackage", SMALLER), folder / "compressed.mlpackage"
    apply(parse(PIPELINES["numbers"]), plain, compressed, verify=False)
    return {"plain": plain, "compressed": compressed}


@pytest.mark.parametrize("what", PIPELINES)
def test_so_is_everything_else(what: str, sources: dict[str, Path], tmp_path: Path) -> None:
    source = sources["compressed" if what == "decompressed" else "plain"]
    out = tmp_path / "out.mlpackage"
    used = peak("apply", source, "-o", out, "-p", PIPELINES[what], "--target", "iOS18")
    assert used < LESS

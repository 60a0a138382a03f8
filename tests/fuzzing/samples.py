"""Sound packages to be damaged: plain and compressed in every way, with nested blocks, of two functions."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from milpass import apply, parse
from milpass.targets import protobuf
from tests.packages import Block, Const, Op, write_package

DIGITS = Path(__file__).parents[2] / "examples" / "digits.mlpackage"
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"

CHOSEN = "select_weights(threshold=500)"
SPARSE = f"{CHOSEN} | prune_weights(sparsity=0.6)"
TABLES = f"{CHOSEN} | fit_lut(nbits=4)"
# name -> release, pipeline
COMPRESSED: dict[str, tuple[str, str]] = {
    "tables16": ("iOS16", f"{TABLES} | replace_const_with_lut()"),
    "affine16": ("iOS16", f"{CHOSEN} | fit_affine() | replace_const_with_affine()"),
    "sparse16": ("iOS16", f"{SPARSE} | replace_const_with_sparse()"),
    "tables18": (
        "iOS18",
        f"{CHOSEN} | fit_lut(nbits=3, granularity=PerGroupedChannel(2, axis=0)) | replace_const_with_lut()",
    ),
    "vectors18": ("iOS18", f"{CHOSEN} | fit_lut(nbits=4, cluster_dim=2) | replace_const_with_lut()"),
    "affine18": (
        "iOS18",
        f"{CHOSEN} | fit_affine(nbits=4, granularity=PerBlock(8)) | replace_const_with_affine()",
    ),
    "sparse18": ("iOS18", f"{SPARSE} | replace_const_with_sparse()"),
    "sparse_tables18": (
        "iOS18",
        f"{SPARSE} | fit_lut(nbits=2, inside='sparse') | replace_const_with_sparse()",
    ),
    "sparse_affine18": ("iOS18", f"{SPARSE} | fit_affine(inside='sparse') | replace_const_with_sparse()"),
    "nested18": ("iOS18", f"{TABLES} | fit_affine(inside='lut') | replace_const_with_lut()"),
}


@frozen
class Sample:
    """A package: the bytes of its files, by their paths in it; or its model file alone."""

    name: str
    files: dict[str, bytes]
    is_file: bool = False

    @property
    def model(self) -> Any:
        """A message of its model file."""
        return protobuf.parse_model(self.files[MODEL], self.name)

    def with_file(self, path: str, data: bytes) -> Sample:
        """The sample with another content of a file."""
        return evolve(self, files={**self.files, path: data})

    def write(self, folder: Path) -> Path:
        """The package as files in a new folder, or a new file."""
        if self.is_file:
            folder.write_bytes(self.files[MODEL])
            return folder
        for path, data in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder


@cache
def samples() -> tuple[Sample, ...]:
    """All of them; the same bytes each time."""
    with tempfile.TemporaryDirectory(prefix="milpass-samples-") as name:
        folder = Path(name)
        found = [_read("digits", DIGITS), _read("blocks", _with_blocks(folder / "blocks"))]
        for each, (release, text) in COMPRESSED.items():
            out, _ = apply(parse(text), DIGITS, folder / each, target=release, threads=1)
            found.append(_read(each, out))
    return tuple(found)


def _read(name: str, package: Path) -> Sample:
    files = sorted(path for path in package.rglob("*") if path.is_file())
    return Sample(name, {str(path.relative_to(package)): path.read_bytes() for path in files})


def _with_blocks(path: Path) -> Path:
    """Two functions; weights outside and inside of nested blocks, shared, cast, immediate."""
    random = np.random.default_rng(0)

    def const(name: str, *shape: int, **how: Any) -> Const:
        return Const(name, random.standard_normal(shape).astype(np.float16), **how)

    inner = Block([const("deep", 16, 8), Op("matmul", {"x": "i", "y": "deep"}, "m")], ("m",), ("i",))
    outer = Block([const("mid", 8, 8), Op("while_loop", {"x": "i"}, "n", blocks=(inner,))], ("n",), ("i",))
    steps = [
        Const("shared", np.arange(128, dtype=np.float16).reshape(16, 8), share="s"),
        const("small", 2, 3, immediate=True),
        Op("cast", {"x": "shared"}, "wide", (16, 8), dtype=11),
        Op("linear", {"x": "x", "weight": "wide"}, "h"),
        Op("cond", {"pred": "h", "x": "small"}, "y", blocks=(outer, outer)),
    ]
    other = [
        Const("shared", np.arange(128, dtype=np.float16).reshape(16, 8), share="s"),
        Op("linear", {"x": "x", "weight": "shared"}, "y"),
    ]
    return write_package(path, {"main": Block(steps, ("y",)), "other": Block(other, ("y",))})

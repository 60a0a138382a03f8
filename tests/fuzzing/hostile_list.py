"""The hostile packages: name -> what makes one of the digits' package, the exit codes that may come of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tests.fuzzing.hostile import (
    Change,
    bomb,
    chain,
    cycle,
    diamond,
    edited,
    manifest,
    model_path,
    packed,
    renamed,
    replaced,
    shape_of_conv2,
    sparse,
    turned,
    written,
)
from tests.fuzzing.samples import MODEL, WEIGHTS

MANIFEST = "Manifest.json"
CONV2 = 832  # where the second convolution's metadata stand
READ, REFUSED, EITHER = frozenset({0, 3}), frozenset({4}), frozenset({0, 3, 4})


def _itself(path: Path) -> None:
    path.symlink_to(path.name)


def _duplicate_keys(package: Path) -> None:
    text = (package / MANIFEST).read_text()
    (package / MANIFEST).write_text(text.replace("{", '{"rootModelIdentifier": "no", ', 1))


def _compiled(package: Path) -> None:
    shutil.rmtree(package / "Data")
    (package / "coremldata.bin").write_bytes(b"\0" * 100)


def _without_blocks(model: Any, block: Any) -> None:
    model.mlProgram.functions["main"].block_specializations.clear()


def _twice(model: Any, block: Any) -> None:
    block.operations.extend([block.operations[0]] * 2)


def _two_names_of_a_file(model: Any, block: Any) -> None:
    stored = [op.attributes["val"] for op in block.operations if op.type == "const"]
    in_file = [value for value in stored if value.WhichOneof("value") == "blobFileValue"]
    in_file[-1].blobFileValue.fileName = "@model_path/weights/../weights/weight.bin"


def _invalid_text(package: Path) -> None:
    data = (package / MODEL).read_bytes()
    (package / MODEL).write_bytes(data.replace(b"conv2_weight_to_fp16", b"conv2_weight_\xff\xfe_fp16"))


def _not_finite(package: Path) -> None:
    data = (package / WEIGHTS).read_bytes()
    blocks = [data[at : at + 64] for at in range(0, len(data), 64)]
    kept = {0, *(n for n, block in enumerate(blocks) if block[:4] == b"\xef\xbe\xad\xde")}
    filled = (b if n in kept else b"\xff\x7f\x00\x7c" * 16 for n, b in enumerate(blocks))
    (package / WEIGHTS).write_bytes(b"".join(filled)[: len(data)])


def _everywhere(path: str) -> dict[str, tuple[Change, frozenset[int]]]:
    """What may stand in the place of a file."""
    name = path.rsplit("/", maxsplit=1)[-1]
    return {
        f"{name}: gone": (lambda package: (package / path).unlink(), REFUSED),
        f"{name}: empty": (written(path, b""), REFUSED),
        f"{name}: noise": (written(path, bytes(range(256)) * 8), REFUSED),
        f"{name}: a folder": (replaced(path, Path.mkdir), REFUSED),
        f"{name}: a pipe": (replaced(path, os.mkfifo), REFUSED),
        f"{name}: a link to itself": (replaced(path, _itself), REFUSED),
        f"{name}: a link to a device": (replaced(path, lambda p: p.symlink_to("/dev/zero")), REFUSED),
        f"{name}: a link outside": (replaced(path, lambda p: p.symlink_to(__file__)), REFUSED),
        f"{name}: a terabyte": (sparse(path), EITHER if path == WEIGHTS else REFUSED),
    }


HOSTILE: dict[str, tuple[Change, frozenset[int]]] = {
    **_everywhere(MANIFEST),
    **_everywhere(MODEL),
    **_everywhere(WEIGHTS),
    "the folder of weights is a file": (replaced("Data/com.apple.CoreML/weights", Path.touch), REFUSED),
    "the folder of weights is a link": (
        replaced("Data/com.apple.CoreML/weights", lambda p: p.symlink_to("/tmp")),
        REFUSED,
    ),
    "the folder of data is a file": (replaced("Data", Path.touch), REFUSED),
    "a pipe beside": (lambda package: os.mkfifo(package / "pipe"), EITHER),
    "a link outside beside": (lambda package: (package / "link").symlink_to("/etc/passwd"), EITHER),
    "a compiled model": (_compiled, REFUSED),
    "manifest: a hundred thousand items": (
        manifest(lambda held: held["itemInfoEntries"].update((str(n), {}) for n in range(10**5))),
        EITHER,
    ),
    "manifest: ten million items": (
        written(MANIFEST, json.dumps({"itemInfoEntries": {"M": [0] * 10**7}}).encode()),
        REFUSED,
    ),
    "manifest: keys twice": (_duplicate_keys, EITHER),
    "manifest: a long number": (written(MANIFEST, b'{"rootModelIdentifier": ' + b"9" * 10**5), REFUSED),
    "manifest: upwards": (model_path("../../../../etc/passwd"), REFUSED),
    "manifest: from the root": (model_path("/etc/passwd"), REFUSED),
    "manifest: a folder": (model_path("com.apple.CoreML"), REFUSED),
    "manifest: nothing": (model_path(""), REFUSED),
    "manifest: the weights": (model_path("com.apple.CoreML/weights/weight.bin"), REFUSED),
    "manifest: itself": (model_path("../Manifest.json"), REFUSED),
    "blob: sentinel": (packed(CONV2, "<I", 1), REFUSED),
    "blob: type": (packed(CONV2 + 4, "<I", 99), REFUSED),
    "blob: too long": (packed(CONV2 + 8, "<Q", 1 << 62), REFUSED),
    "blob: too short": (packed(CONV2 + 8, "<Q", 3), REFUSED),
    "blob: outside": (packed(CONV2 + 16, "<Q", 1 << 63), REFUSED),
    "blob: unaligned": (packed(CONV2 + 16, "<Q", CONV2 + 65), REFUSED),
    "blob: inside another": (packed(CONV2 + 16, "<Q", CONV2 + 640), REFUSED),
    "not finite": (_not_finite, READ),
    "name: with line breaks": (renamed("conv\n2\r\u2028weight"), READ),
    "name: with control characters": (renamed("\x1b[31mred\x1b]0;title\x07\0"), READ),
    "name: with markup": (renamed("[/b][red]:smile:"), READ),
    "name: of a megabyte": (renamed("n" * (1 << 20)), READ),
    "name: nothing": (renamed(""), EITHER),
    "name: no text": (_invalid_text, REFUSED),
    "shape: a length of 2**63": (shape_of_conv2(1 << 63, 32, 3, 3), REFUSED),
    "shape: a product that overflows": (shape_of_conv2(1 << 32, 1 << 32, 9), REFUSED),
    "shape: below zero": (shape_of_conv2((1 << 64) - 64, 32, 3, 3), REFUSED),
    "shape: zero": (shape_of_conv2(0, 1 << 63), REFUSED),
    "shape: a thousand axes": (shape_of_conv2(18432, *[1] * 999), REFUSED),
    "shape: a hundred thousand axes": (shape_of_conv2(*[1 << 60] * 10**5), REFUSED),
    "nested: a chain of three": (chain(3), EITHER),
    "nested: a chain of five thousand": (chain(5000), REFUSED),
    "nested: each twice": (diamond(60, "constexpr_blockwise_shift_scale", "data", "scale"), EITHER),
    "rearranged: each twice": (diamond(200, "reshape", "x"), READ),
    "rearranged: a long way": (diamond(5000, "reshape", "x"), READ),
    "transposed: too few axes": (turned([1]), READ),
    "transposed: axes of none": (turned([1, 7]), READ),
    "transposed: one axis twice": (turned([1, 1]), READ),
    "transposed: a thousand axes": (turned([0] * 1000), READ),
    "constants of each other": (edited(cycle), EITHER),
    "a small constant that is large": (edited(bomb), EITHER),
    "a function without blocks": (edited(_without_blocks), REFUSED),
    "operations twice": (edited(_twice), REFUSED),
    "two names of a weight file": (edited(_two_names_of_a_file), REFUSED),
}

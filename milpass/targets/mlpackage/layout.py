"""What a package folder holds: its manifest, its model file, its weight files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from attrs import frozen

from milpass.errors import ModelError

MANIFEST = "Manifest.json"
DATA = "Data"
MODEL_PATH = "@model_path/"
# The weight file that coremltools makes.
WEIGHTS = f"{MODEL_PATH}weights/weight.bin"


# Bytes; one has a few hundred.
LARGEST_MANIFEST = 1 << 24
# Bytes of a message, as protobuf limits it.
LARGEST_MODEL = (1 << 31) - 1


def unreadable(what: object, got: str, needs: str, remedy: str | None = None) -> ModelError:
    """The error for a package that is not one."""
    return ModelError(str(what), who="milpass", cannot="read the model", got=got, needs=needs, remedy=remedy)


@frozen
class Layout:
    """A package's folder and its model file, relative to it."""

    root: Path
    model: Path

    @classmethod
    def of(cls, root: Path) -> Layout:
        """Read the manifest; raises `ModelError` where the folder is no package."""
        _check_folder(root)
        layout = cls(root, layout_path(root, DATA, _root_item(root)))
        layout.existing(layout.model)
        return layout

    def existing(self, path: Path) -> Path:
        """The whole path of a file of the package; raises `ModelError` where it is none."""
        whole = self.root / path
        if not Path(os.path.realpath(whole)).is_relative_to(os.path.realpath(self.root)):
            raise unreadable(self.root, f"{str(path)!r}", "paths that stay inside the package")
        if not whole.is_file():
            raise unreadable(self.root, f"no file {path}", "the file that the package names")
        return whole

    def model_bytes(self) -> bytes:
        """What the model file holds."""
        file = self.existing(self.model)
        if (size := file.stat().st_size) > LARGEST_MODEL:
            raise unreadable(self.root, f"a model file of {size:,} bytes", "one of less than 2 GiB")
        return file.read_bytes()

    def weight_file(self, name: str) -> Path:
        """The file that a constant names as `@model_path/weights/weight.bin`, relative to the package."""
        if not name.startswith(MODEL_PATH) or "\0" in name:
            raise unreadable(self.root, f"weights in {name!r}", f"weights below {MODEL_PATH}")
        place = name.removeprefix(MODEL_PATH)
        path = layout_path(self.root, str(self.model.parent), place)
        if os.path.normpath(place) != place or path == self.model:
            raise unreadable(self.root, f"weights in {name!r}", "weights in a file named plainly")
        return path

    def complete(self, folder: Path, model: bytes) -> None:
        """Add to a written copy what the source did not have to be copied: nothing, for a package on disk."""

    def files(self) -> list[Path]:
        """All files of the package, relative to it, in order of their names."""
        found = [path for path in self.root.rglob("*") if not path.is_dir()]
        return sorted(path.relative_to(self.root) for path in found)


def layout_path(root: Path, *parts: str) -> Path:
    """A path relative to the package; raises `ModelError` where it leads out."""
    path = Path(os.path.normpath(os.path.join(*parts)))
    if path.is_absolute() or ".." in path.parts:
        raise unreadable(root, f"{str(path)!r}", "paths that stay inside the package")
    return path


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise unreadable(root, "no such file or folder", "an .mlpackage folder or an .mlmodel file")
    if not root.is_dir():
        raise unreadable(root, "neither a file nor a folder", "an .mlpackage folder or an .mlmodel file")
    if (root / "coremldata.bin").exists():
        raise unreadable(root, "a compiled model", "an .mlpackage folder", "Compress it before compiling it")
    if not (root / MANIFEST).is_file():
        raise unreadable(root, f"a folder without {MANIFEST}", "an .mlpackage folder")


def _root_item(root: Path) -> str:
    """The path of the model file, relative to the data folder."""
    try:
        if (root / MANIFEST).stat().st_size > LARGEST_MANIFEST:
            raise ValueError
        manifest = json.loads((root / MANIFEST).read_bytes())
        path = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        path = None
    if not isinstance(path, str) or "\0" in path:
        raise unreadable(root, f"a damaged {MANIFEST}", "a manifest that names the model file")
    return path

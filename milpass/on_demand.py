"""What the files of a package define, imported when it is asked for: the command starts in a blink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

Found = TypeVar("Found")


class OnDemand(MutableMapping[str, Found]):
    """Name -> what a package's file defines under it, or what was put there; files are given by name."""

    def __init__(self, package: str, files: Mapping[str, str]) -> None:
        self._package = package
        self._files = files
        self._found: dict[str, Found | None] = dict.fromkeys(files)

    def __getitem__(self, name: str) -> Found:
        found = self._found[name]
        if found is None:
            found = self._found[name] = getattr(import_module(f"{self._package}.{self._files[name]}"), name)
        return found

    def __setitem__(self, name: str, found: Found) -> None:
        self._found[name] = found

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Folder(ModuleType):
    """A package in which a file's name stands for what the file defines under it, not for its module."""

    def __setattr__(self, name: str, value: Any) -> None:
        """What an import binds the module of a file by."""
        super().__setattr__(name, getattr(value, name, value) if isinstance(value, ModuleType) else value)

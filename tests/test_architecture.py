"""The code keeps to the directions of import that docs/architecture.md states."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "milpass"
FREE = {"__init__", "__main__"}  # the public names and the command's door
UPWARDS = {("passes/base.py", "pipeline"), ("pipeline.py", "mil")}
OUTSIDERS = {
    "cython": {"kernels"},
    "google": {"targets"},
    "networkx": {"graph"},
    "distributed": {"remote"},
    "coremltools": {"targets", "mil", "compat", "testing"},
    "hypothesis": {"testing"},
    "click": {"cli"},
    "rich": {"cli"},
}


def rooms() -> dict[str, set[str]]:
    """The table of docs/architecture.md: room -> the rooms that it may import."""
    lines = (ROOT / "docs" / "architecture.md").read_text().splitlines()
    start = lines.index("| room | what is in it | may import |")
    cells = [[c.strip() for c in line.split("|")] for line in lines[start + 2 :] if line.startswith("|")]
    table = cells[: next((n for n, row in enumerate(cells) if row[1] == "new"), len(cells))]
    return {row[1]: set(row[3].split(", ")) - {""} for row in table}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, those for type checking alone left out."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


FILES = sorted(p for p in PACKAGE.rglob("*.py") if room_of(p) not in FREE)


def test_every_room_is_described() -> None:
    assert {room_of(path) for path in FILES} == set(rooms())


def test_the_rooms_have_no_cycle() -> None:
    left = rooms()
    while left:
        ground = {room for room, needs in left.items() if not needs & set(left)}
        assert ground, f"cycle among {sorted(left)}"
        left = {room: needs for room, needs in left.items() if room not in ground}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_keep_to_their_directions(path: Path) -> None:
    own = room_of(path)
    allowed = rooms()[own] | {own}
    name = str(path.relative_to(PACKAGE))
    for module in imports(path):
        top, _, rest = module.partition(".")
        room = rest.split(".")[0]
        if top == "milpass":
            assert room in allowed or (name, room) in UPWARDS, f"{name} imports {module}"
        assert own in OUTSIDERS.get(top, {own}), f"{name} imports {module}"
        assert top != "torch", f"{name} imports {module}"


@pytest.mark.parametrize("module", ["milpass, milpass.cli", "milpass.testing"])
def test_importing_milpass_loads_no_coremltools(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"coremltools", "torch", "sklearn", "scipy", "networkx", "rich", "distributed"} & set(
        ast.literal_eval(loaded)
    )


def test_files_and_functions_stay_short() -> None:
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 60, (path, node.name)

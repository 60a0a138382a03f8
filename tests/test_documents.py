"""What the documents say, run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import milpass.selectors
from milpass.passes import PASSES
from milpass.passes._kinds import EditingPass
from milpass.pipeline import parse
from milpass.plan import Plan, outcome
from milpass.roles import role
from milpass.selectors import SELECTORS
from milpass.weight import Key, Reader, Source, Weight
from tests.documents import DOCUMENTS, ROOT, CodeBlock, Example, code_blocks, examples
from tests.warm import Warm, warm


def weight(line: str) -> Weight:
    """A weight as passes.md writes it: `name: dtype shape, op.input`, and `, stored as op` if compressed."""
    match = re.fullmatch(r"(\w+): (\w+) ([\dx]+), (\w+)\.(\w+)(?:, stored as (\w+))?", line)
    assert match, line
    name, dtype, shape, op_type, input_name, encoded = match.groups()
    reader = Reader(op_type, f"{name}_op", input_name, role(op_type, input_name))
    sizes = tuple(int(n) for n in shape.split("x"))
    return Weight(Key("main", (), name), sizes, dtype, Source("w", 0), (reader,), encoded=encoded)


@pytest.mark.parametrize("example", examples(), ids=lambda e: e.text[:40])
def test_given_and_result(example: Example) -> None:
    plan = Plan.of(tuple(map(weight, example.given)))
    for step in parse(example.text).passes:
        plan = step.fold(plan)
    assert [f"{row.weight.name}: {outcome(row.entry)}" for row in plan.rows] == list(example.result)


def test_every_pass_has_an_example_and_every_selector_a_row() -> None:
    text = (ROOT / "passes.md").read_text()
    for name in set(PASSES) & set(milpass.__all__):
        section = text.split(f"## {name}(")[1].split("\n## ")[0]
        if issubclass(PASSES[name], EditingPass):
            assert "```python" in section  # it folds no plan: what it does is run on a model
        else:
            assert "Given" in section and "Result" in section
    described = set(re.findall(r"^\| `(\w+)", text.split("## Selectors")[1], re.M))
    assert set(milpass.selectors.__all__) & set(SELECTORS) == described


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder where the paths of the documents lead to the example."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.fixture(scope="module")
def coremltools_process() -> Iterator[Warm]:
    with warm() as process:
        yield process


def needs_coremltools(block: CodeBlock) -> bool:
    return "coremltools" in block.text or "milpass.testing" in block.text


@pytest.mark.parametrize("block", code_blocks("python"), ids=lambda b: b.place)
def test_python_blocks(block: CodeBlock, workplace: Path, coremltools_process: Warm) -> None:
    """Each in a process of its own, with every warning an error."""
    if "distributed" in block.text:
        pytest.importorskip("distributed", reason="dask is not installed (the extra `dask`)")
    if not needs_coremltools(block) or block.place.startswith("README"):
        run([sys.executable, "-W", "error", "-c", block.text], workplace)
        return
    code, written = coremltools_process.run(block.text, workplace)
    assert code == 0, written


@pytest.mark.parametrize("block", code_blocks("shell"), ids=lambda b: b.place)
def test_shell_blocks(block: CodeBlock, workplace: Path) -> None:
    if "make " in block.text:
        assert_targets_exist(block.text)
        return
    run(["bash", "-euo", "pipefail", "-c", block.text], workplace)


def run(command: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def assert_targets_exist(text: str) -> None:
    """Blocks that call make are not run inside the suite that make runs; their targets must exist."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([\w-]+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert link.startswith("http") or (path.parent / link).exists(), link


def test_the_demo_runs(workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=workplace, capture_output=True, text=True, check=True
    )
    shares = dict(re.findall(r"^ *(dense|\d bits) .* ([\d.]+) % of 500$", done.stdout, re.M))
    assert list(shares) == ["dense", "8 bits", "4 bits", "2 bits"]
    assert float(shares["dense"]) >= 97 and abs(float(shares["8 bits"]) - float(shares["dense"])) < 0.5
    assert sorted(p.name for p in (workplace / "demo").iterdir()) == [
        f"digits-{n}bit.mlpackage" for n in (2, 4, 8)
    ]

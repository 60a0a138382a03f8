"""The examples that need coremltools run, and do what they say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.with_coremltools.conftest import ROOT


def run(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy outside the repository, as a user would have one."""
    for file in (ROOT / "examples").glob("*.py"):
        shutil.copy(file, tmp_path)
    shutil.copytree(ROOT / "examples" / "digits.mlpackage", tmp_path / "digits.mlpackage")
    return tmp_path


def test_bits_are_mixed_by_role(examples: Path) -> None:
    lines = run(examples, "mixed_bits.py").splitlines()
    bits = {line.split()[0]: int(line.split()[-2]) for line in lines if line.endswith(" bits")}
    assert bits == {"table": 8, "wq": 6, "wk": 6, "wv": 6, "wo": 6, "up": 4, "down": 4, "head": 8}


def test_own_passes_pass_their_tests(examples: Path) -> None:
    assert "3 passed" in run(examples, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_house_passes.py")
    assert "OK" in run(examples, "-m", "unittest", "test_house_passes")


def test_the_command_uses_them(examples: Path) -> None:
    text = "select_largest(share=0.9) | fit_lut(mode='quantiles', nbits=4) | replace_const_with_lut()"
    milpass = ("-m", "milpass")
    own = ("--import", "house_passes")
    told = run(examples, *milpass, "apply", "digits.mlpackage", "-o", "s.mlpackage", *own, "-p", text)
    assert "lut quantiles 4 bits" in told and (examples / "s.mlpackage").is_dir()
    assert "share=0.9" in run(examples, *milpass, "passes", *own, "select_largest")

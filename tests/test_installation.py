"""Where kernels are not compiled: in a process of its own, with a copy that has no compiled files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import milpass

PACKAGE = Path(milpass.__file__).parent


def milpass_not_compiled(folder, code):
    """Run Python with a milpass that has no compiled kernels."""
    shutil.copytree(PACKAGE, folder / "milpass", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    environment, command = {**os.environ, "PYTHONPATH": str(folder)}, [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_one_line_names_both_remedies_where_kernels_cannot_run(tmp_path):
    code = "try: import milpass.kernels\nexcept ImportError as error: print(type(error).__name__, str(error))"
    (tmp_path / "cython.py").write_text("raise ModuleNotFoundError('no cython here', name='cython')\n")
    done = milpass_not_compiled(tmp_path, code)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("InstallationError")
    assert "C compiler" in line and "pip install cython" in line


def test_indices_are_packed_and_unpacked_where_nothing_is_compiled(tmp_path):
    code = (
        "import numpy as np\n"
        "from milpass import kernels\n"
        "from milpass.encodings import Indices\n"
        "array = np.arange(40, dtype=np.uint8) % 16\n"
        "packed = Indices.of(array, 4).packed()\n"
        "print(kernels.COMPILED, np.array_equal(Indices.unpacked(packed, (40,), 4).array(), array))"
    )
    done = milpass_not_compiled(tmp_path, code)
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")

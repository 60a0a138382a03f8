"""Where the figures come from: hardware and versions, nothing that names a machine or a person."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.peer import solver
from milpass.kernels import COMPILED

PACKAGES = ("numpy", "coremltools", "scikit-learn", "milpass")


def description() -> dict[str, str]:
    """The machine and the software, by what each line tells."""
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} logical cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "kernels": "compiled" if COMPILED else "not compiled",
        "coremltools' k-means": solver(),
    }


def _processor() -> str:
    """The processor's name as the system tells it."""
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()

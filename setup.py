"""Builds the kernels: each file of milpass/kernels becomes an extension of the same name."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = sorted(p for p in Path("milpass/kernels").glob("*.py") if p.name != "__init__.py")
# The same bytes on every machine: no fused multiply-add, nothing of the building machine's own.
FLAGS = ["-O3", "-ffp-contract=off", "-g0"]

# Another environment of the same Python may use what one has built in this folder, which takes a minute.
sources = [] if os.environ.get("MILPASS_KERNELS") == "built" else KERNELS

extensions = cythonize(
    [Extension(f"milpass.kernels.{p.stem}", [str(p)], extra_compile_args=FLAGS) for p in sources],
    build_dir="build",
    compiler_directives={
        "language_level": "3",
        "boundscheck": False,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "annotation_typing": True,
    },
)
for extension in extensions:
    extension.optional = True  # cythonize() drops the flag; without a compiler the files run as they are

setup(ext_modules=extensions, options={"build_ext": {"parallel": os.cpu_count()}})

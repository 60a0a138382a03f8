"""Compiled loops over weights: arrays in, arrays out, no allocation, no policy.

Each file here is Python that Cython compiles in its pure Python mode.  Where no compiler was, the same
files run as they are, about a hundred times slower, if the `cython` package is installed.
"""

from milpass.errors import InstallationError

try:
    from milpass.kernels import assignment, bits, clustering, histogram
except ModuleNotFoundError as error:
    if error.name != "cython":
        raise
    raise InstallationError(
        "milpass.kernels",
        who="milpass",
        cannot="fit weights",
        got="neither compiled kernels nor the package that runs them uncompiled",
        needs="one of the two",
        remedy="Install a C compiler and reinstall milpass, or `pip install cython`",
    ) from None

COMPILED: bool = not str(clustering.__file__).endswith(".py")

__all__ = ["COMPILED", "assignment", "bits", "clustering", "histogram"]

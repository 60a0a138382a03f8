"""The command, as `python -m milpass` and as the script that is installed."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command; an interrupt while it is being loaded ends it in one line, too.

    Loading is half of a short run: there is no garbage in it, and no work for the threads of numpy's BLAS.
    """
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from milpass.cli import main as command
    except KeyboardInterrupt:
        os.write(sys.stderr.fileno(), b"milpass: interrupted, nothing was written\n")
        os._exit(130)
    command(prog_name="milpass")


if __name__ == "__main__":
    main()

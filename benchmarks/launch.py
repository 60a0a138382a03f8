"""Starts the command in its arguments, waits, and prints what it took; run as a script, imports little."""

import json
import os
import subprocess
import sys
import time


def main() -> int:
    """Print seconds and peak memory (kilobytes; bytes on macOS); give the command's exit code."""
    start = time.perf_counter()
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    taken = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    print(json.dumps({"seconds": taken, "peak": used.ru_maxrss}))
    return child.returncode


sys.exit(main())

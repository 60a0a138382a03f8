"""What all tests share."""

import signal

import pytest

pytest.register_assert_rewrite("milpass.testing.targets")


def pytest_configure() -> None:
    """Let the commands that tests start hear Ctrl-C: what a shell runs in the background inherits deafness."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

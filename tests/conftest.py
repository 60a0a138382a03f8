"""What all tests share."""

import signal

import pytest

pytest.register_assert_rewrite("milpass.testing.targets")


def pytest_configure() -> None:
    """Let commands that tests start hear Ctrl-C: those of a shell in the background are deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

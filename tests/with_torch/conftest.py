"""These tests convert torch modules; `make test-torch` runs them where torch is."""

from importlib.util import find_spec

collect_ignore_glob = ["*"] if find_spec("torch") is None else []

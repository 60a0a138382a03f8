"""Damaged packages without end: real ones changed at random, and what milpass may make of them.

`python -m tests.fuzzing --minutes 10` tells how often each outcome came; see CONTRIBUTING.md.
"""

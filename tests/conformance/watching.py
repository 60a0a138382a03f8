"""Calls of the functions, and whose code carries them out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import Any

from .peer import FUNCTIONS, HOLDERS, WORK


class Calls:
    """The calls since the last `begin`; restores what it wraps when the stack is closed."""

    def __init__(self, ours: bool, stack: ExitStack) -> None:
        self.ours, self.stack = ours, stack
        self.within = 0
        self.begin()
        places = [
            (importlib.import_module(holder), p + name) for holder, p in HOLDERS.items() for name in FUNCTIONS
        ]
        places = [(module, name) for module, name in places if hasattr(module, name)]
        theirs = [getattr(module, name) for module, name in places]
        if ours:
            stack.enter_context(importlib.import_module("milpass.compat").patch())
        for (module, name), original in zip(places, theirs, strict=True):
            missed = ours and getattr(module, name) is original
            self.put(module, name, self.watched(getattr(module, name), name.lstrip("_"), missed))
        for home, name in WORK:
            module = importlib.import_module(home)
            self.put(module, name, self.working(getattr(module, name)))

    def begin(self) -> None:
        self.names: list[str] = []
        self.missed = False  # a call went to a place where coremltools' function still stands
        self.handed = False  # a call of ours let coremltools carry it out

    def put(self, module: Any, name: str, function: Callable[..., Any]) -> None:
        self.stack.callback(setattr, module, name, getattr(module, name))
        setattr(module, name, function)

    def watched(self, function: Callable[..., Any], name: str, missed: bool) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.names.append(name)
            self.missed |= missed
            self.within += 1
            try:
                return function(*args, **kwargs)
            finally:
                self.within -= 1

        return call

    def working(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.handed |= self.ours and self.within > 0
            return function(*args, **kwargs)

        return call

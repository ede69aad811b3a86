"""Compilation: a function is traced to a program, which runs as Python; or the engine's own compiler takes it."""

from .compiled import Compiled, compile

__all__ = ["Compiled", "compile"]

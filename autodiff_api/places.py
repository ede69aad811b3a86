"""Where in the user's own code something happens."""

from __future__ import annotations

import linecache
import sys
from types import FrameType
from typing import NamedTuple

PACKAGE = __name__.partition(".")[0]


class Place(NamedTuple):
    """A line of a program, and the function that it is in."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f'  File "{self.file}", line {self.line}, in {self.function}' + (f"\n    {text}" if text else "")


def is_ours(frame: FrameType) -> bool:
    """Tell whether a frame belongs to this package, its plugins, or code that it generated."""
    name = frame.f_globals.get("__name__")
    return name is None or name == PACKAGE or name.startswith((f"{PACKAGE}.", f"{PACKAGE}_"))


def user_level() -> int:
    """Return the `stacklevel` with which the caller's warning points at the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and is_ours(frame):
        frame, level = frame.f_back, level + 1
    return level


def place_of_error(error: BaseException) -> Place | None:
    """Return the innermost place on the way to an error that is neither ours nor of the library that raised it."""
    library = type(error).__module__.partition(".")[0]
    found, trace = None, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        name = frame.f_globals.get("__name__", "")
        if not is_ours(frame) and name.partition(".")[0] != library:
            found = Place(frame.f_code.co_filename, trace.tb_lineno, frame.f_code.co_name)
        trace = trace.tb_next
    return found


def user_places() -> list[Place]:
    """Return the places on the way to here, outermost first, up to the innermost that is the user's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    places = []
    while frame is not None:
        places.append(Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return places[::-1]

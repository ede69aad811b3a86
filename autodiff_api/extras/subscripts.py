"""Reading the subscripts of `einsum`."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from ..errors import ArgumentError, ShapeError

Labels = tuple[str, ...]
Shapes = tuple[tuple[int, ...], ...]
DOTS = "..."


@lru_cache(maxsize=256)
def parse(subscripts: str, shapes: Shapes) -> tuple[tuple[Labels, ...], Labels, dict[str, int]]:
    """Return a label for each axis of each operand and of the output, and each label's size.

    The axes that an ellipsis stands for are called "0", "1", ... from the last one, as broadcasting aligns them.

    >>> parse("...ij,jk", ((5, 2, 3), (3, 4)))
    ((('0', 'i', 'j'), ('j', 'k')), ('0', 'i', 'k'), {'0': 5, 'i': 2, 'j': 3, 'k': 4})
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    words = left.split(",")
    if len(words) != len(shapes):
        raise ArgumentError(f"einsum: {subscripts!r} describes {len(words)} operands, got {len(shapes)}")
    inputs = tuple(
        _labels(w, len(s), f"operand {i} of {subscripts!r}") for i, (w, s) in enumerate(zip(words, shapes, strict=True))
    )
    sizes = _sizes(inputs, shapes, subscripts)
    dots = tuple(sorted((label for label in sizes if label.isdigit()), key=int, reverse=True))
    if arrow:
        output = _labels(
            right, len(right.replace(DOTS, "")) + len(dots) * (DOTS in right), f"the output of {subscripts!r}"
        )
    else:
        named = [label for labels in inputs for label in labels if not label.isdigit()]
        output = (*dots, *sorted(label for label in named if named.count(label) == 1))
    _check_output(output, sizes, subscripts)
    return inputs, output, sizes


def _labels(word: str, ndim: int, where: str) -> Labels:
    before, dots, after = word.partition(DOTS)
    letters = before + after
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise ArgumentError(f"einsum: {where} is {word!r}; subscripts are letters and at most one '...'")
    free = ndim - len(letters)
    if free < 0 or (free and not dots):
        raise ShapeError(f"einsum: {where} is {word!r}, {len(letters)} axes, but the array has {ndim}")
    return (*before, *(str(i) for i in reversed(range(free))), *after)


def _sizes(inputs: tuple[Labels, ...], shapes: Shapes, subscripts: str) -> dict[str, int]:
    """Return the size of each label: that of all its axes, except those of length 1."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            known = sizes.get(label, 1)
            if 1 != known != n != 1:
                name = f"an axis of {DOTS}" if label.isdigit() else repr(label)
                raise ShapeError(f"einsum: in {subscripts!r}, {name} has the sizes {known} and {n}")
            sizes[label] = n if known == 1 else known
    return sizes


def _check_output(output: Labels, sizes: dict[str, int], subscripts: str) -> None:
    for label in output:
        if label not in sizes:
            raise ArgumentError(f"einsum: the output of {subscripts!r} has {label!r}, which no operand has")
    for one, next_ in pairwise(sorted(output)):
        if one == next_:
            raise ArgumentError(f"einsum: the output of {subscripts!r} has {one!r} twice")

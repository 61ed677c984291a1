"""The work that every system is given: graphs of functions that add one, so that only the system's own cost is left.

`chain` of n: each step takes the one before. `fan` of n: one start, n steps that take it, one that adds them all up.
"""

from __future__ import annotations

import sys

Graph = dict[str, tuple[str, ...]]


def graph(shape: str, n: int) -> Graph:
    """Step -> the steps that it takes, in order."""
    if shape == "chain":
        return {f"s{i}": (f"s{i - 1}",) if i else () for i in range(n)}
    wide = {f"w{i}": ("start",) for i in range(n)}
    return {"start": (), **wide, "total": tuple(wide)}


def result(shape: str, n: int) -> int:
    """What the last step must come to."""
    return n if shape == "chain" else 2 * n + 1


def source(shape: str, n: int, decorator: str = "") -> str:
    """The functions as a Python file."""
    lines = []
    for name, needs in graph(shape, n).items():
        taken = ", ".join(f"{need}: int" for need in needs)
        lines += [decorator, f"def {name}({taken}) -> int:", f"    return {' + '.join((*needs, '1'))}", "", ""]
    return "\n".join(line for line in lines if line or not decorator)


def last(shape: str, n: int) -> str:
    """The name of the last step."""
    return f"s{n - 1}" if shape == "chain" else "total"


def asked() -> tuple[str, int]:
    """The shape and size on the command line."""
    return sys.argv[1], int(sys.argv[2])


def told(took_s: float, found: int, wanted: int) -> None:
    """Say how long the run call took, once its result is what it must be."""
    if found != wanted:
        raise SystemExit(f"the result is {found}, not {wanted}")
    print(f"inside={took_s}")

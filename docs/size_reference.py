"""The page docs/reference/size.md: what a sizing holds, every constant behind it, and the formulas as the modules say them."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from pages import ROOT, page, table

from bedplate.planner.showing.words import OBJECTIVES, PARTS, QUANTITIES
from bedplate.storage.systems import HOME, load_constants, load_systems

ROOMS = ("kernels", "training", "serving", "generation", "convergence", "site", "money", "search")
"""Rooms of the planner whose modules say their formulas."""


def sizing() -> str:
    """What `bedplate size` answers with, every constant behind it, and the formulas with their sources."""
    intro = (
        "What an answer of [`bedplate size`](verbs.md) holds and rests on. `bedplate size list figures` and its sisters print the rows "
        "themselves; a folder of your own rows goes over them: `--systems FOLDER`."
    )
    quantities = [(f"`{name}`", words) for name, (words, _) in QUANTITIES.items()]
    objectives = [(f"`{name}`", words) for name, words in OBJECTIVES.items()]
    shares = [(one, f"`{part}`", words) for one, parts in PARTS.items() for part, words in parts.items()]
    figures = [
        (
            f"`{one.name}`",
            f"{one.value:g}",
            f"{one.low:g} to {one.high:g}",
            one.unit,
            one.source,
            one.as_of,
            "" if one.verified else "unverified",
        )
        for one in load_systems().figures.values()
    ]
    return page(
        "Size", intro,
        "## Quantities\n\nThe unit is the end of the name.", table(("name in JSON", "what it is"), quantities),
        "## What is minimised", table(("objective", "what it looks for"), objectives),
        "## Parts of a whole", table(("breakdown", "part", "what it is"), shares),
        "## Figures\n\nWhat no data sheet gives, with what it may be (80 %).",
        table(("figure", "value", "range", "unit", "source", "date", ""), figures),
        "## Fitted constants\n\nExponentials of the general values; a name that was measured has an effect of its own on top.",
        table(("model", "constant", "value", "effects", "fitted on"), _fitted()),
        "## Formulas\n\nAs they stand at the head of each module.", *_formulas(),
    )  # fmt: skip


def _fitted() -> list[tuple[str, ...]]:
    """Every fitted constant of every model of the planner."""
    rows = []
    for path in sorted((HOME / "calibration").glob("*.json")):
        held = load_constants(path.stem)
        rows += [
            (path.stem, f"`{name}`", f"{math.exp(one.base):.4g}", str(len(one.effects)), held.fitted_on)
            for name, one in held.effects.items()
        ]
        rows += [(path.stem, f"`{name}`", f"{value:.4g}", "", held.fitted_on) for name, value in held.numbers.items()]
    return rows


def _formulas() -> Iterator[str]:
    """The docstring of every module of the planner's rooms."""
    for room in ROOMS:
        for path in sorted((ROOT / "src" / "bedplate" / "planner" / room).glob("*.py")):
            says = ast.get_docstring(ast.parse(path.read_text()))
            if path.name != "__init__.py" and says:
                yield f"### {room}/{path.name}\n\n{says}"

"""What speculative decoding bought: the answer with drafts beside the answer to the same question without them, in words."""

from __future__ import annotations

from bedplate.core.units import show_seconds
from bedplate.planner.asking.sizing import Design, Sizing

SAME = 0.005
"""A difference that nobody would change an engine's options for."""


def bought(found: Sizing, without: Sizing, draft: str) -> tuple[str, ...]:
    """The tokens a step, and what they save or cost against `without`."""
    if found.best is None:
        return ()
    layout = found.best.layout
    told = f"{draft} drafts {layout['drafted tokens']} tokens a step, which yields {layout['tokens a step']:g} of the answer's"
    if without.best is None:
        return (told, f"without drafts no design keeps to every limit: {'; '.join(without.conflict)}")
    return (told, f"without drafts the best is {without.best.name}: {_difference(found.best, without.best)}")


def _difference(best: Design, plain: Design) -> str:
    """How the design without drafts differs in money, in its token and offline in time."""
    told = []
    for name, more, less in (("cost_usd", "dearer", "cheaper"), ("time_s", "slower", "quicker")):
        if name in best.quantities and name in plain.quantities:
            ratio = plain.quantities[name].value / best.quantities[name].value - 1
            if abs(ratio) >= SAME:
                told.append(f"{abs(ratio):.0%} {more if ratio > 0 else less}")
    now, then = (show_seconds(one.quantities["tpot_s"].value) for one in (best, plain))
    return ", ".join([*told, f"a token in {then}, not {now}"])

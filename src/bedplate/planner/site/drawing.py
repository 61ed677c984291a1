"""The drawings of a site: a rack from the floor up, and the fabric by tiers.

Choices: a rack is 10 wide and one unit high per rack unit; a tier shows at most eight boxes, the last standing for the rest; lines are
drawn between shown boxes, with the number of cables of the whole tier in the label of the first.
"""

from __future__ import annotations

import itertools
import math

from bedplate.planner.asking.drawing import Box, Drawing, Line

from .design import Given, Parts
from .fabric import Fabric

RACK_W = 10.0
SHOWN = 8
TIER_H, BOX_H, SHEET_W = 4.0, 1.5, 80.0


def drawings(given: Given, made: Parts) -> tuple[Drawing, ...]:
    """The rack, and the fabric where there is one."""
    rack = rack_drawing(given, made)
    return (rack, fabric_drawing(made.fabric, given.question.nodes)) if made.fabric else (rack,)


def rack_drawing(given: Given, made: Parts) -> Drawing:
    """One rack of nodes, from the floor up, on its usable units."""
    units = float(given.node.rack_units or 1)
    height = max(given.systems.figure("rack-units-usable").value, units * made.packing.per_rack)
    kw = given.node.max_power_kw or 0.0
    boxes = [
        Box(x=0, y=height - units * (i + 1), w=RACK_W, h=units, label=f"{given.node.name} {kw:g} kW", kind="node")
        for i in range(min(made.packing.per_rack, given.question.nodes))
    ]
    free = height - units * len(boxes)
    if free > 0:
        boxes.append(Box(x=0, y=0, w=RACK_W, h=free, label=f"{free:g} units free", kind="free"))
    note = f"{made.packing.kw_per_rack:g} of {made.packing.limit_kw:g} kW, {made.cooling}; {made.packing.node_racks} such racks"
    return Drawing(name="rack", width=RACK_W, height=height, boxes=tuple(boxes), note=note)


def fabric_drawing(fabric: Fabric, nodes: int) -> Drawing:
    """The tiers from cores down to nodes."""
    built = fabric.tree
    tiers = [("core", built.cores), ("spine", built.spines), ("leaf", built.leaves), ("node", nodes)]
    tiers = [(kind, count) for kind, count in tiers if count]
    rows = [_row(kind, count, TIER_H * i) for i, (kind, count) in enumerate(tiers)]
    cables = {"leaf": built.cables["host"], "spine": built.cables["leaf"], "core": built.cables["spine"]}
    lines = [
        line for (upper, lower), (kind, _) in zip(itertools.pairwise(rows), tiers, strict=False)
        for line in _between(upper, lower, cables[kind], fabric.gbps)
    ]  # fmt: skip
    boxes = tuple(box for row in rows for box in row)
    note = f"{built.switches} x {fabric.switch.name}, {sum(built.cables.values()):,} cables"
    return Drawing(name="fabric", width=SHEET_W, height=TIER_H * len(tiers) - TIER_H + BOX_H, boxes=boxes, lines=tuple(lines), note=note)


def _row(kind: str, count: int, y: float) -> list[Box]:
    shown = min(count, SHOWN)
    pitch = SHEET_W / shown
    rest = count - shown + 1
    return [
        Box(
            x=pitch * i + pitch * 0.1, y=y, w=pitch * 0.8, h=BOX_H, kind=kind,
            label=f"{kind} {i + 1}" if i < shown - 1 or rest == 1 else f"{rest} more", count=1 if i < shown - 1 else rest,
        )
        for i in range(shown)
    ]  # fmt: skip


def _between(upper: list[Box], lower: list[Box], cables: int, gbps: float) -> list[Line]:
    each = math.ceil(cables / (len(upper) * len(lower)))
    pairs = [(above, below) for above in upper for below in lower]
    return [
        Line(
            x1=above.x + above.w / 2, y1=above.y + above.h, x2=below.x + below.w / 2, y2=below.y, count=each,
            label=f"{cables:,} x {gbps:g}G" if i == 0 else "",
        )
        for i, (above, below) in enumerate(pairs)
    ]  # fmt: skip

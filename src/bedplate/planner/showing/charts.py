"""The drawings of a sizing's page: records in, SVG markup out.

Choices: a chart is 440 units wide, so that its words can still be read on a telephone. Nothing is said by colour alone: the shares of a
bar carry letters, points carry numbers, ends of bars carry their values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bedplate.core.drawing.svg import circle, decades, drawing, line, linked, rect, scale, text, ticks, told
from bedplate.planner.asking.drawing import Drawing
from bedplate.planner.asking.sizing import Breakdown, Design, Milestone, Sensitivity

from .words import label, offer, part_label, unit_of, written

WIDE = 440.0
FILLS = 8
MOST_PARTS, MOST_POINTS, MOST_BARS, MOST_STAGES, MOST_SQUARES, MOST_COPIES = 16, 24, 12, 8, 16, 128
AXES = ("time_s", "cost_usd", "energy_kwh", "power_w")
MOST_LETTERS = 56
"""Of strong words across a drawing."""
MONTHS_WEEKS = 365.25 / 12 / 7


def letter(at: int) -> str:
    """What marks the part at that place: a to z."""
    return chr(ord("a") + at % 26)


def fill(at: int) -> str:
    """The fill of the part at that place."""
    return f"fill-{at % FILLS}"


def stacked(breakdown: Breakdown) -> str:
    """One bar of the whole: a part is as wide as its share, and carries its letter where that fits."""
    write, x, parts = unit_of(breakdown.unit), 0.0, []
    for at, part in enumerate(breakdown.parts):
        wide = WIDE * part.value / breakdown.total
        name = part_label(breakdown.name, part.name)
        marks = [rect(x + 0.5, 2, max(wide - 1, 0.4), 36, fill(at))]
        if wide > 13:
            marks.append(text(x + wide / 2, 25, letter(at), "on-fill", "middle"))
        parts.append(told(f"{letter(at)}: {name}, {write(part.value)}, {part.value / breakdown.total:.1%}", *marks))
        x += wide
    return drawing(WIDE, 42, parts, f"{breakdown.name}: {write(breakdown.total)} in {len(breakdown.parts)} parts, listed below")


def columns(breakdown: Breakdown) -> str:
    """Many parts of one kind, such as the hours of a day, as columns in their order; every fourth is named."""
    write, top, bottom = unit_of(breakdown.unit), 6.0, 150.0
    marks = ticks(max(part.value for part in breakdown.parts))
    y, wide = scale(0, marks[-1], bottom, top), (WIDE - 64) / len(breakdown.parts)
    parts = [line(62, y(value), WIDE, y(value), "grid") + text(56, y(value) + 4, write(value), "", "end") for value in marks]
    for at, part in enumerate(breakdown.parts):
        x = 64 + wide * at
        parts.append(told(f"{part.name}: {write(part.value)}", rect(x + 1, y(part.value), wide - 2, bottom - y(part.value), "bar-now")))
        if at % 4 == 0:
            parts.append(text(x + wide / 2, bottom + 16, part.name, "", "middle"))
    return drawing(WIDE, bottom + 22, parts, f"{breakdown.name}: {write(breakdown.total)} in {len(breakdown.parts)} parts")


def shown_of(designs: Sequence[Design], best: Design | None) -> tuple[Design, ...]:
    """As many designs of a front as can be told apart: spread over all of it, the ends and the chosen one among them."""
    last = len(designs) - 1
    if last < MOST_POINTS:
        return tuple(designs)
    chosen = next((at for at, one in enumerate(designs) if same(one, best)), 0)
    kept = {round(step * last / (MOST_POINTS - 1)) for step in range(MOST_POINTS)} - {chosen - 1, chosen + 1} | {0, chosen, last}
    return tuple(designs[at] for at in sorted(kept))


def plane(designs: Sequence[Design]) -> tuple[str, str, str] | None:
    """The two quantities in which designs differ, and the one that is the dots' size ('' where there is none); None: no two."""
    every = [name for name in AXES if all(d.quantities.get(name) and d.quantities[name].value > 0 for d in designs)]
    differ = [name for name in every if len({d.quantities[name].value for d in designs}) > 1]
    if len(designs) < 2 or len(differ) < 2:
        return None
    return differ[0], differ[1], differ[2] if len(differ) > 2 else ""


def front(designs: Sequence[Design], best: Design | None, axes: tuple[str, str, str], leads: str = "") -> str:
    """Designs as numbered dots on two logarithmic axes; the chosen one has a ring and a word.

    `leads` is the address of a design without its number, where a dot is to lead there.
    """
    left, right, top, bottom = 66.0, WIDE - 16, 14.0, 262.0
    across, up, size = axes
    spans = [[d.quantities[name].value for d in designs] for name in (across, up)]
    low = [min(values) / 1.25 for values in spans]
    high = [max(values) * 1.25 for values in spans]
    x = scale(math.log(low[0]), math.log(high[0]), left, right)
    y = scale(math.log(low[1]), math.log(high[1]), bottom, top)
    parts = [line(left, bottom, right, bottom, "axis"), line(left, top, left, bottom, "axis")]
    for value in _marks(low[0], high[0], 4):
        parts.append(line(x(math.log(value)), top, x(math.log(value)), bottom, "grid"))
        parts.append(text(x(math.log(value)), bottom + 17, written(across, value), "", "middle"))
    for value in _marks(low[1], high[1], 5):
        parts.append(line(left, y(math.log(value)), right, y(math.log(value)), "grid"))
        parts.append(text(left - 6, y(math.log(value)) + 4, written(up, value), "", "end"))
    most = max((d.quantities[size].value for d in designs), default=1.0) if size else 1.0
    for at, design in sorted(enumerate(designs, 1), key=lambda one: -_radius(one[1], size, most)):
        a, b = (math.log(design.quantities[name].value) for name in (across, up))
        dot = _dot(x(a), y(b), _radius(design, size, most), at, design, same(design, best))
        parts.append(linked(f"{leads}{at}", dot) if leads else dot)
    parts.append(text((left + right) / 2, bottom + 36, f"{label(across)}, logarithmic", "", "middle"))
    parts.append(text(left, top - 4, f"{label(up)}, logarithmic"))
    said = f"{label(up)} against {label(across)} of {len(designs)} designs, listed below"
    return drawing(WIDE, bottom + 42, parts, said, "group" if leads else "img")


def _marks(low: float, high: float, most: int) -> list[float]:
    """Round values on a logarithmic axis, or its ends where it has fewer than two."""
    found = decades(low, high, most)
    return found if len(found) > 1 else [low, high]


def same(one: Design, other: Design | None) -> bool:
    """Whether two records are the same design on the same offer."""
    return other is not None and (one.name, one.provider, one.term) == (other.name, other.provider, other.term)


def _radius(design: Design, size: str, most: float) -> float:
    return 6 + 10 * math.sqrt(design.quantities[size].value / most) if size else 8.0


def _dot(x: float, y: float, radius: float, at: int, design: Design, chosen: bool) -> str:
    marks = [circle(x, y, radius, "dot chosen" if chosen else "dot faint"), text(x, y + 4, str(at), "on-dot", "middle")]
    if chosen:
        marks.append(text(x, y - radius - 5, "the choice", "strong", "middle"))
    return told(f"{at}: {design.name}, {offer(design)}", *marks)


def bars(designs: Sequence[Design], name: str, best: Design | None) -> str:
    """One quantity of each design as a bar, its 80 % range as a whisker."""
    row, left = 40.0, 2.0
    marks = ticks(max(d.quantities[name].high for d in designs))
    x = scale(0, marks[-1], left, WIDE - 70)
    parts = []
    for at, design in enumerate(designs):
        found, y = design.quantities[name], row * at
        title = f"{design.name}: {written(name, found.value)}"
        drawn = [text(left, y + 13, design.name + (" (the choice)" if same(design, best) else ""), "strong")]
        drawn.append(rect(left, y + 18, max(x(found.value) - left, 1), 14, "bar-now" if same(design, best) else "bar-now fair"))
        if found.low < found.high:
            drawn += [line(x(found.low), y + 25, x(found.high), y + 25, "whisker"), *(_end(x(end), y) for end in (found.low, found.high))]
        drawn.append(text(x(max(found.high, found.value)) + 6, y + 30, written(name, found.value)))
        parts.append(told(title, *drawn))
    return drawing(WIDE, row * len(designs), parts, f"{label(name)} of each way")


def _end(x: float, y: float) -> str:
    return line(x, y + 21, x, y + 29, "whisker")


def tornado(bars: Sequence[Sensitivity], name: str, now: float | None) -> str:
    """A bar from the answer with an assumption's low value to that with its high one, widest first; the dashed line is the answer now."""
    row, left, right, top = 44.0, 62.0, WIDE - 62, 6.0
    ends = [value for one in bars for value in (one.low, one.high)]
    x = scale(min(ends), max(ends), left, right)
    parts = []
    if now is not None:
        parts.append(line(x(now), top, x(now), top + row * len(bars), "mark"))
    for at, one in enumerate(bars):
        y, low, high = top + row * at, min(one.low, one.high), max(one.low, one.high)
        title = f"{one.name}: {one.low_input} gives {written(name, one.low)}, {one.high_input} gives {written(name, one.high)}"
        parts.append(
            told(
                title,
                text(0, y + 13, _fitting(f"{one.name.replace('-', ' ')}: {one.low_input} to {one.high_input}"), "strong"),
                rect(x(low), y + 19, max(x(high) - x(low), 1.5), 14, "bar-now"),
                text(x(low) - 5, y + 31, written(name, low), "", "end"),
                text(x(high) + 5, y + 31, written(name, high)),
            )
        )
    return drawing(WIDE, top + row * len(bars), parts, f"how {label(name)} moves with each assumption")


def _fitting(words: str) -> str:
    """Words as far as they fit across a drawing: all of them show where they are pointed at."""
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def timeline(milestones: Sequence[Milestone]) -> str:
    """Each milestone as a bar on weeks from the decision."""
    row, top = 36.0, 22.0
    end = max(one.start_week + one.weeks for one in milestones)
    marks = ticks(end)
    x = scale(0, marks[-1], 2, WIDE - 2)
    bottom = top + row * len(milestones)
    parts = []
    for value in marks:
        parts.append(line(x(value), top - 4, x(value), bottom, "grid"))
        final = value == marks[-1]
        parts.append(
            text(x(value), 12, f"week {value:g}" if final else f"{value:g}", "", "end" if final else "middle" if value else "start")
        )
    for at, one in enumerate(milestones):
        y, start, last = top + row * at, x(one.start_week), x(one.start_week + one.weeks)
        late = start > WIDE * 0.55
        name = text(last if late else start, y + 13, f"{one.name}, {_weeks(one.weeks)}", "strong", "end" if late else "start")
        said = f"{one.name}: week {one.start_week:.3g} to {one.start_week + one.weeks:.3g}"
        parts.append(told(said, name, rect(start, y + 18, max(last - start, 2), 11, "bar-now")))
    return drawing(WIDE, bottom + 4, parts, f"time line of {len(milestones)} milestones over {end:.3g} weeks")


def _weeks(weeks: float) -> str:
    return f"{weeks * 7:.2g} days" if weeks < 2 else f"{weeks:.3g} weeks"


def machines(design: Design) -> str:
    """One copy of the model as squares, a row for each pipeline stage; below it all copies. '' where a layout says no degrees."""
    copies = _whole_copies(design)
    if copies < 1 or design.n_accel < copies:
        return ""
    stages = int(design.layout.get("pp", 1))
    each = max(1, design.n_accel // copies // stages)
    top, upper = _copy(stages, each)
    drawn, bottom = _copies(copies, design.n_nodes, upper + 22)
    return drawing(WIDE, bottom, [*top, *drawn], f"{copies} copies of the model, each on {stages} x {each} accelerators")


def _whole_copies(design: Design) -> int:
    """How many times the accelerators hold all weights: experts spread over data-parallel ranks are one copy's, and so is all that is
    cut into shares for every rank (ZeRO stage 3)."""
    layout = design.layout
    if "instances" in layout:
        return int(layout["instances"])
    tp, pp, cp, ep = (int(layout.get(name, 1)) for name in ("tp", "pp", "cp", "ep"))
    if not layout.get("dp"):
        return 0
    return 1 if layout.get("zero") == 3 else max(1, design.n_accel // (pp * max(tp * cp, ep)))


def _copy(stages: int, each: int) -> tuple[list[str], float]:
    """The accelerators of one copy, and how far down they reach."""
    wide = f"{each} wide" + ("" if each <= MOST_SQUARES else f", {MOST_SQUARES} of them drawn")
    parts, y = [text(0, 12, f"one copy of the model: {stages * each} {_plural('accelerator', stages * each)}", "strong")], 22.0
    for stage in range(min(stages, MOST_STAGES)):
        parts += _squares(each, y, 12, "bar-now")
        said = wide if stages == 1 else f"stage {stage + 1}" + (f": {wide}" if stage == 0 and each > 1 else "")
        parts.append(text(min(each, MOST_SQUARES) * 14 + 8, y + 10, said))
        y += 18
    if stages > MOST_STAGES:
        parts.append(text(0, y + 10, f"and {stages - MOST_STAGES} more stages"))
        y += 18
    return parts, y


def _copies(copies: int, nodes: int, y: float) -> tuple[list[str], float]:
    """All copies as squares, and how far down they reach."""
    parts = [text(0, y, f"{copies:,} {_plural('copy', copies)} in {nodes:,} {_plural('node', nodes)}", "strong")]
    y += 10
    for at in range(0, min(copies, MOST_COPIES), MOST_SQUARES):
        parts += _squares(min(MOST_COPIES, copies) - at, y, 11, "fill-copy")
        y += 14
    if copies > MOST_COPIES:
        parts.append(text(0, y + 12, f"and {copies - MOST_COPIES:,} more"))
        y += 18
    return parts, y + 4


def _plural(word: str, count: int) -> str:
    return word if count == 1 else word.removesuffix("y") + "ies" if word.endswith("y") else word + "s"


def _squares(count: int, y: float, side: float, style: str) -> list[str]:
    """A row of squares: at most MOST_SQUARES."""
    return [rect(at * (side + 2), y, side, side, style) for at in range(min(count, MOST_SQUARES))]


def sketch(given: Drawing) -> str:
    """A drawing of things side by side or on top of each other (a rack, a fabric): boxes with their labels, lines behind them."""
    tall = given.height > given.width
    x, y = scale(0, given.width, 1, WIDE * (0.5 if tall else 1) - 1), scale(0, 1, 1, 1 + (8 if tall else 24))
    parts = [line(x(one.x1), y(one.y1), x(one.x2), y(one.y2), "cable") for one in given.lines]
    for box in given.boxes:
        middle = (x(box.x + box.w / 2), (y(box.y) + y(box.y + box.h)) / 2 + 4)
        drawn = rect(x(box.x), y(box.y), x(box.w) - x(0), y(box.h) - y(0), f"box {'free' if box.kind == 'free' else ''}")
        parts.append(told(box.label, drawn, text(*middle, box.label, "box-label", "middle")))
    parts += [text(0, (y(one.y1) + y(one.y2)) / 2 + 4, one.label, "cable-label") for one in given.lines if one.label]
    return drawing(WIDE, y(given.height) + 2, parts, f"{given.name}: {given.note}")

"""The assessment that a company needs before it builds, as Markdown: goals, options side by side, choice, risks, money by month, time.

Choices: the planner is asked again for rented and for bought machines, and `planner.search.report` puts the answers together; here they are
only written down. A number's footnote says what it rests on; the table at the end holds every figure with its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from bedplate.assembly import knowledge, size
from bedplate.core.errors import BedplateError, UserError
from bedplate.core.units import show_usd
from bedplate.planner.asking.questions import Question
from bedplate.planner.asking.sizing import Milestone, Sizing
from bedplate.planner.search.report import Assessment, Option, assess, bought, rented, weighed_usd
from bedplate.planner.showing.words import goals, label, layout, offer, ordered, shown, title, workload

BAR, MOST_ROWS = 30, 24
QUARTER = 3
COUNTED = "counted from the layout with the figures of the table above"


def write_report(found: Sizing, path: Path, systems: Path | None = None) -> None:
    """Write the assessment; `systems` holds rows of your own. Raises UserError where it cannot be written."""
    cloud, owned = (_asked(question, systems) for question in (rented(found.question), bought(found.question)))
    made = assess(found, cloud, owned, knowledge(systems).systems)
    try:
        path.write_text(assessment(found, made), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written", why=error.strerror or str(error), next="name a file in a folder that is there"
        ) from None


def _asked(question: Question, systems: Path | None) -> Sizing | str:
    """The answer, or why there is none: an option that cannot be had is no mistake of whoever asked."""
    try:
        return size(question, systems)
    except BedplateError as error:
        return f"{error.what}{f' ({error.why})' if error.why else ''}"


class Notes:
    """The footnotes of a page, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, basis: str) -> str:
        """The mark of a footnote with that text; nothing for no text."""
        basis = " ".join(basis.split())
        return f"[^{self._numbers.setdefault(basis, len(self._numbers) + 1)}]" if basis else ""

    def lines(self) -> list[str]:
        return [f"[^{number}]: {basis}" for basis, number in self._numbers.items()]


def assessment(found: Sizing, made: Assessment) -> str:
    """The whole Markdown page."""
    notes = Notes()
    parts = [
        f"# {title(found.question)}: an assessment",
        _summary(found, made),
        "## Goals",
        _listed(goals(found.question), "No limit was set."),
    ]
    parts += ["## Workload", _listed(workload(found.question), ""), "## Options", _options(made.options, notes)]
    parts += ["## Choice", _points(made.reasons), *_binding(found), "## Risks", _risks(made)]
    parts += ["## Cost by month", _months(made), "## Time line", _timeline(made.timeline), "## What every number rests on"]
    parts += [_figures(made), *notes.lines()]
    return _inert("\n\n".join(part for part in parts if part)) + "\n"


def _inert(page: str) -> str:
    """The page without tags or links: it makes none itself, so that any stands in a name or a source that somebody gave."""
    return page.replace("<", "&lt;").replace("](", "]\\(")


def _summary(found: Sizing, made: Assessment) -> str:
    if made.choice is None:
        return "No way meets every limit. " + "; ".join(found.conflict)
    best = next(one for one in made.options if one.way == made.choice)
    name = f": {best.design.name}, {offer(best.design)}" if best.design else ""
    told = f"**{made.choice.capitalize()}**{name}; {show_usd(best.usd)} over the months of use; works {_after(best)}."
    if weighed_usd(found.question, best) <= best.usd:
        return told
    return f"{told} **{show_usd(best.outlay)} have to be spent or promised for it**: the rest is for what the machines do afterwards."


def _listed(pairs: Sequence[tuple[str, str]], none: str) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in pairs) or none


def _points(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _binding(found: Sizing) -> list[str]:
    bound = found.binding
    return [f"What binds: {bound.constraint} ({bound.limit}). {bound.relaxed}".strip()] if bound else []


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def _options(options: Sequence[Option], notes: Notes) -> str:
    """The ways side by side: a row for each quantity."""
    made = next((one.design for one in options if one.design and one.design.term == "buy"), None)
    names = list(dict.fromkeys(name for one in options if one.design and one.months for name in ordered(one.design)))
    rows = [["design", *(one.design.name if one.design and one.months else "none" for one in options)]]
    rows.append(["offer", *(offer(one.design) if one.design and one.months else "" for one in options)])
    rows.append(["in all", *(show_usd(one.usd) if one.months else "" for one in options)])
    rows.append(["to be spent or promised", *(show_usd(one.outlay) if one.months and one.outlay > one.usd else "" for one in options)])
    rows.append(["works", *(_after(one) if one.months else "" for one in options)])
    rows += [[label(name, made), *(_quantity(one, name, notes) for one in options)] for name in names]
    rows.append(["layout", *(layout(one.design) if one.design and one.months else "" for one in options)])
    rows.append(["why not", *(one.reason for one in options)])
    return table(["", *(one.way for one in options)], [row for row in rows if any(row[1:])])


def _after(option: Option) -> str:
    """When a way works, from the decision."""
    return f"after {option.start_month:.1f} months" if option.start_month else "at once"


def _quantity(option: Option, name: str, notes: Notes) -> str:
    """A number of a way's design; a hybrid is the same machines, and only its money in all is its own."""
    found = option.design.quantities.get(name) if option.design and option.months else None
    if found is None or (option.way == "hybrid" and name in ("cost_usd", "usd_per_month")):
        return ""
    return shown(name, found) + notes.mark(found.basis or COUNTED)


def _risks(made: Assessment) -> str:
    return table(["risk", "why", "what to do"], [[one.what, one.why, one.answer] for one in made.risks])


def _months(made: Assessment) -> str:
    """A row for each month, or for each quarter of a long time; a bar for the chosen way."""
    ways = [one for one in made.options if one.months]
    length = max((len(one.months) for one in ways), default=0)
    if not length:
        return "No price is known."
    step = 1 if length <= MOST_ROWS else QUARTER
    sums = {one.way: [sum(one.months[at : at + step]) for at in range(0, length, step)] for one in ways}
    cells = {way: [show_usd(usd) if usd else "" for usd in values] for way, values in sums.items()}
    most = max(sums[made.choice]) if made.choice else 0.0
    rows = []
    for row, at in enumerate(range(0, length, step)):
        last = min(at + step, length)
        name = f"{last}" if last == at + 1 else f"{at + 1} to {last}"
        mine = sums[made.choice][row] if made.choice else 0.0
        rows.append([name, *(cells[one.way][row] for one in ways), "\u2588" * round(BAR * mine / most) if most else ""])
    rows.append(["in all", *(show_usd(one.usd) for one in ways), ""])
    late = next((one for one in ways if one.start_month), None)
    said = "What is bought is written off month by month. Months are months of use"
    said += f": {late.way} the first comes {late.start_month:.1f} months after the decision." if late else "."
    return f"{said}\n\n" + table(["month", *(one.way for one in ways), f"{made.choice}, drawn" if made.choice else ""], rows)


def _timeline(bars: Sequence[Milestone]) -> str:
    if not bars:
        return "Nothing has to be waited for."
    end = max(bar.start_week + bar.weeks for bar in bars)
    rows = []
    for bar in bars:
        before, length = round(BAR * bar.start_week / end), max(1, round(BAR * bar.weeks / end))
        rows.append([bar.name, f"{bar.start_week:.0f}", f"{bar.weeks:.1f}", "\u00b7" * before + "\u2588" * length])
    return table(["", "from week", "weeks", ""], rows)


def _figures(made: Assessment) -> str:
    rows = [[one.name, one.value, one.source, one.as_of, "checked" if one.verified else "**unverified**"] for one in made.assumptions]
    return "A range is meant to hold the true value 8 times in 10; docs/reference/accuracy.md says how often it did.\n\n" + table(
        ["figure", "value", "source", "date", ""], rows
    )

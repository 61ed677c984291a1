"""Cloud, on premises and both side by side: several answers to one question, put together for a decision.

    cloud         rented all the time
    on premises   bought: nothing runs before delivery and acceptance (`figures.csv`: weeks-accelerators, weeks-acceptance)
    hybrid        rented until the bought machines work, on them from then on

Choices: a month's cost is what is used up in it: what is bought is written off month by month, not paid at once. But a job has no second
month to use up: its ways are chosen among by the money that has to be spent or promised for it (`outlay`), and what it would be if other
work filled the rest of the machines' life is said. A job that is done before bought machines could work has no hybrid. Every way is used
for the same number of months, counted from the day it works; a month is a twelfth of a year. Where the answer weighed renting against
owning itself (`cost`, `site`), its choice stands.
Limits: no part of one job runs in the cloud while another runs at home: the link between them would set its pace.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from bedplate.core.records import Record
from bedplate.core.units import show_usd
from bedplate.planner.asking.questions import Cost, Question, Serve, Site, Term
from bedplate.planner.asking.sizing import Assumption, Design, Milestone, Sensitivity, Sizing, assumed
from bedplate.planner.facts.systems import Systems

from .offers import usual_terms

Way = Literal["cloud", "on premises", "hybrid"]
RENTED: tuple[Term, ...] = ("on-demand", "spot", "reserved-1y", "reserved-3y")
KEPT: tuple[Term, ...] = ("on-demand", "reserved-1y", "reserved-3y")
"""What may stand for a hall of one's own: machines that nobody takes away."""
BOUGHT: tuple[Term, ...] = ("buy",)
DELIVERY = ("weeks-accelerators", "weeks-acceptance")
WEEKS_MONTH = 365.25 / 12 / 7
MONTH_S = 365.25 / 12 * 86400
ONGOING = (Serve, Cost, Site)


class Option(Record, frozen=True, kw_only=True):
    """One way. `months`: USD used up in each month of use, () where there is no such way; the first is `start_month` after the decision.

    `outlay`: USD that are spent or promised for it, whatever becomes of the machines afterwards. `reason`: why it cannot be chosen.
    """

    way: Way
    design: Design | None = None
    months: tuple[float, ...] = ()
    usd: float = 0.0
    outlay: float = 0.0
    start_month: float = 0.0
    reason: str = ""


class Risk(Record, frozen=True, kw_only=True):
    """What may go wrong, how that is known, and what to do about it."""

    what: str
    why: str
    answer: str


class Assessment(Record, frozen=True, kw_only=True):
    """The options, the chosen way with its reasons, the risks, what happens when, and all figures behind the numbers."""

    question: Question
    options: tuple[Option, ...]
    choice: Way | None
    reasons: tuple[str, ...]
    risks: tuple[Risk, ...]
    timeline: tuple[Milestone, ...]
    assumptions: tuple[Assumption, ...]


def rented(question: Question) -> Question:
    """The same question, asked of the cloud: what is to be housed is rented there instead."""
    if isinstance(question, Site):
        question = Cost(
            node=question.node, count=question.nodes, months=question.months, utilisation=question.utilisation, limits=question.limits
        )  # fmt: skip
    usual = KEPT if isinstance(question, Cost) else tuple(term for term in usual_terms(question) if term in RENTED)
    wished = tuple(term for term in question.limits.terms if term in RENTED)
    return _on_terms(question, wished or usual)


def bought(question: Question) -> Question:
    """The same question, with machines of one's own."""
    return question if isinstance(question, Site) else _on_terms(question, BOUGHT)


def _on_terms(question: Question, terms: tuple[Term, ...]) -> Question:
    return msgspec.structs.replace(question, limits=msgspec.structs.replace(question.limits, terms=terms))


def assess(found: Sizing, cloud: Sizing | str, owned: Sizing | str, systems: Systems) -> Assessment:
    """Put the answers together; a text instead of a sizing says why there is none."""
    weeks = sum(systems.figure(name).value for name in DELIVERY)
    if found.best is not None:
        cloud, owned = (cloud, found) if found.best.term == "buy" else (found, owned)
    rent, own = _cloud(found, cloud), _owned(found, owned, weeks)
    options = (rent, own, _hybrid(rent, own, _months(found, rent.design) if rent.design else 0.0))
    priced = [option for option in options if option.months]
    best = _chosen(found, [option for option in priced if not option.reason])
    return Assessment(
        question=found.question, options=options, choice=best.way if best else None, reasons=_reasons(found, priced, best),
        risks=_risks(found, best, systems), timeline=_timeline(found, best, weeks, systems),
        assumptions=_assumptions((found, cloud, owned), systems),
    )  # fmt: skip


def _chosen(found: Sizing, ways: list[Option]) -> Option | None:
    """The way that the answer itself took, where it weighed renting against owning; else, and where it took none, the cheapest."""
    weighed = found.best if isinstance(found.question, (Site, Cost)) else None
    taken = next((way for way in ways if weighed is not None and way.way != "hybrid" and way.design is weighed), None)
    return taken or min(ways, key=lambda option: weighed_usd(found.question, option), default=None)


def weighed_usd(question: Question, option: Option) -> float:
    """USD that ways are chosen among by: what months use up where the work goes on, what has to be spent for a job that ends."""
    return option.usd if isinstance(question, ONGOING) else option.outlay


def _outlay(design: Design) -> float:
    """USD spent or promised: the cost, or the whole investment or commitment where that is more."""
    names = ("cost_usd", "commitment_usd", "capex_usd")
    return max(design.quantities[name].value for name in names if name in design.quantities)


def _cloud(found: Sizing, answer: Sizing | str) -> Option:
    design = _design(answer)
    if design is None or "cost_usd" not in design.quantities:
        return Option(way="cloud", design=design, reason=_why(answer))
    usd = design.quantities["cost_usd"].value
    return Option(way="cloud", design=design, months=_even(usd, _months(found, design)), usd=usd, outlay=_outlay(design))


def _owned(found: Sizing, answer: Sizing | str, weeks: float) -> Option:
    design = _design(answer)
    if design is None or "cost_usd" not in design.quantities:
        return Option(way="on premises", design=design, reason=_why(answer))
    usd, ready = design.quantities["cost_usd"].value, _ready(answer, design, weeks) / WEEKS_MONTH
    months = _months(found, design)
    deadline = found.question.limits.by_s
    late = not isinstance(found.question, ONGOING) and deadline is not None and (ready + months) * MONTH_S > deadline
    reason = f"bought machines work after {ready:.1f} months, which is too late" if late else ""
    return Option(
        way="on premises", design=design, months=_even(usd, months), usd=usd, outlay=_outlay(design), start_month=ready, reason=reason
    )


def _hybrid(rent: Option, own: Option, length: float) -> Option:
    """Rented month by month until the bought machines work, then those, for the `length` months that the question goes."""
    if not rent.months or not own.months:
        missing = rent if not rent.months else own
        return Option(way="hybrid", reason=f"{missing.way} has no answer: {missing.reason}")
    if length <= own.start_month:
        return Option(way="hybrid", reason=f"rented machines are done before bought ones work ({own.start_month:.1f} months)")
    months = []
    for month in range(math.ceil(length)):
        whole = min(1.0, length - month)
        rented = min(whole, max(0.0, own.start_month - month))
        months.append((rent.usd * rented + own.usd * (whole - rented)) / length)
    usd = sum(months)
    return Option(way="hybrid", design=own.design, months=tuple(months), usd=usd, outlay=max(usd, own.outlay))


def _months(found: Sizing, design: Design) -> float:
    """How many months it costs something."""
    question = found.question
    return question.months if isinstance(question, ONGOING) else design.quantities["time_s"].value / MONTH_S


def _even(usd: float, months: float) -> tuple[float, ...]:
    """`usd` spread evenly over the months of use."""
    return tuple(usd / months * min(1.0, months - month) for month in range(math.ceil(months)))


def _ready(answer: Sizing | str, design: Design, weeks: float) -> float:
    """Weeks until bought machines work: from the site's own time line where there is one."""
    bars = answer.timeline if isinstance(answer, Sizing) else ()
    return max((bar.start_week + bar.weeks for bar in bars), default=weeks) if design.term == "buy" else 0.0


def _design(answer: Sizing | str) -> Design | None:
    return None if isinstance(answer, str) else answer.best


def _why(answer: Sizing | str) -> str:
    if isinstance(answer, str):
        return answer
    return "these limits cannot be met together: " + "; ".join(answer.conflict) if answer.best is None else "no price is known"


def _reasons(found: Sizing, priced: list[Option], best: Option | None) -> tuple[str, ...]:
    if best is None:
        return tuple(found.conflict)
    question = found.question
    spent = {option.way: weighed_usd(question, option) for option in priced}
    least = all(spent[best.way] <= spent[option.way] for option in priced if not option.reason)
    told = [f"{best.way} takes the least money of the ways that keep to every limit"] if least else []
    if not least and isinstance(found.question, Site):
        told.append(f"{best.way}: machines of one's own are what is to be housed")
    for option in priced:
        if option is not best and best.usd > 0:
            told.append(_against(option, best, question))
    return (*told, *found.reasons)


def _against(option: Option, best: Option, question: Question) -> str:
    """What another way takes beside the chosen one; of a job also what its machines take before and after it."""
    more = option.usd / best.usd - 1
    told = f"{option.way} takes {abs(more):.0%} {'more' if more >= 0 else 'less'}"
    if weighed_usd(question, option) > option.usd:
        told += f" if other work fills the rest of its machines' life: {show_usd(option.outlay)} have to be spent or promised"
    return told + (f", but {option.reason}" if option.reason else "")


def _risks(found: Sizing, best: Option | None, systems: Systems) -> tuple[Risk, ...]:
    """What the ranges, the terms and the sources say may go wrong."""
    risks = [_swing(bar) for bar in found.sensitivities[:3]]
    if best is not None and best.design is not None and best.design.term == "spot":
        daily = systems.figure("spot-interruptions-day")
        why = f"{daily.value:g} times a day and node ({daily.low:g} to {daily.high:g})"
        risks.append(Risk(what="machines are reclaimed", why=why, answer="keep checkpoints often, and money for on-demand machines"))
    if best is not None and best.way == "on premises" and not isinstance(found.question, ONGOING):
        why = "only the months of this job are counted, as if the next job waits"
        risks.append(Risk(what="bought machines stand idle after the job", why=why, answer="buy where the next jobs are known, else rent"))
    if best is not None and best.way != "cloud":
        late = systems.figure("weeks-accelerators")
        why = f"{late.value:g} weeks, from {late.low:g} to {late.high:g}"
        risks.append(Risk(what="delivery is late", why=why, answer="rent until then; agree on a penalty"))
    doubtful = ", ".join(one.name for one in found.assumptions if not one.verified)
    if doubtful:
        risks.append(Risk(what="an unverified figure is wrong", why=doubtful, answer="bring your own: --systems FOLDER"))
    return (*risks, *(Risk(what=warning, why="said by the planner", answer="measure before committing") for warning in found.warnings))


def _swing(bar: Sensitivity) -> Risk:
    why = f"from {bar.low_input} to {bar.high_input} the answer moves by {_move(bar.low, bar.high)}"
    return Risk(what=f"{bar.name} is not as assumed", why=why, answer="fix it by contract, or measure it before committing")


def _move(low: float, high: float) -> str:
    return f"{abs(high / low - 1):.0%}" if low else "all of it"


def _timeline(found: Sizing, best: Option | None, weeks: float, systems: Systems) -> tuple[Milestone, ...]:
    """What happens when: deliveries where something is bought, and the work itself."""
    if best is None or best.design is None:
        return ()
    bars = list(found.timeline) if best.design.term == "buy" else []
    if not bars and best.way != "cloud":
        start = 0.0
        for name, figure in zip(("order and delivery", "installation and acceptance"), DELIVERY, strict=True):
            bars.append(Milestone(name=name, start_week=start, weeks=systems.figure(figure).value))
            start += bars[-1].weeks
    end = max((bar.start_week + bar.weeks for bar in bars), default=0.0)
    length = _months(found, best.design) * WEEKS_MONTH
    begin = 0.0 if best.way == "hybrid" else end
    return (*bars, Milestone(name="work", start_week=begin, weeks=length))


def _assumptions(answers: tuple[Sizing | str, ...], systems: Systems) -> tuple[Assumption, ...]:
    """Every figure of every answer once, and the lead times."""
    every = [one for answer in answers if isinstance(answer, Sizing) for one in answer.assumptions]
    every += [assumed(systems.figure(name)) for name in (*DELIVERY, "spot-interruptions-day")]
    return tuple({(one.name, one.value, one.source): one for one in every}.values())

"""The answer to a question: designs, why the best one won, what binds, what was assumed.

Terminal, page, report and JSON all draw this one record.

Choices: a design's numbers are Estimates by name (the names are in docs/reference/size.md); breakdowns are lists of parts that add up to
their whole; every constant that took part is an Assumption with its source.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bedplate.core.records import Record
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.systems import Figure

from .drawing import Drawing
from .questions import Question


class Part(Record, frozen=True, kw_only=True):
    """One share of a whole: `value` in the breakdown's unit."""

    name: str
    value: float
    note: str = ""


class Breakdown(Record, frozen=True, kw_only=True):
    """Parts that add up: the step (s), the memory of the fullest accelerator (bytes), money (USD), power (W), the fabric (count), ..."""

    name: str
    unit: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> float:
        """The sum of the parts, in the breakdown's unit."""
        return sum(part.value for part in self.parts)


class Times(Record, frozen=True, kw_only=True):
    """A quantity that scatters: its mean, and what 50, 90 and 99 of 100 stay below; the last lies between `p99_low` and `p99_high` in 8 of
    10 samples of that size."""

    mean: float
    p50: float
    p90: float
    p99: float
    p99_low: float = 0.0
    p99_high: float = 0.0


class Simulated(Record, frozen=True, kw_only=True):
    """What requests get of each instance by discrete-event simulation, beside the closed form's `closed_form` (by quantity's name).

    Times in s: `ttft_s` to the first token, `tpot_s` a token after it (a request's mean), `gap_s` between two outputs of a stream. `queue`:
    requests that wait to enter, `running`: that run, on average; `caches`: share of the caches held, `busy`: share of the time at work.
    `requests` of a coefficient of variation `length_cv` were counted. The closed form asked for `asked` instances, and where
    there are more, those `broke` a limit.
    """

    ttft_s: Times
    tpot_s: Times
    gap_s: Times
    queue: Times
    running: float
    caches: float
    busy: float
    requests: int
    length_cv: float
    instances: int
    asked: int
    broke: str = ""
    closed_form: dict[str, float] = msgspec.field(default_factory=dict)


class Design(Record, frozen=True, kw_only=True):
    """One way to do it. `layout`: degrees and counts by name (tp, pp, dp, replicas, ...); `lost`: why it is not the best ('' if it is);
    `simulated`: of a service that was chosen or came second."""

    name: str
    accelerator: str = ""
    node: str = ""
    n_accel: int = 0
    n_nodes: int = 0
    provider: str = ""
    region: str = ""
    term: str = ""
    layout: dict[str, Any] = msgspec.field(default_factory=dict)
    quantities: dict[str, Estimate] = msgspec.field(default_factory=dict)
    breakdowns: tuple[Breakdown, ...] = ()
    simulated: Simulated | None = None
    feasible: bool = True
    lost: str = ""


class Binding(Record, frozen=True, kw_only=True):
    """The constraint that decides, and what relaxing it by 10 % would buy, in words and as a ratio of the objective."""

    constraint: str
    limit: str
    relaxed: str = ""
    gain: float | None = None


class Sensitivity(Record, frozen=True, kw_only=True):
    """The objective when one assumption takes its low and its high value (a bar of the tornado)."""

    name: str
    low_input: str
    high_input: str
    low: float
    high: float


class Assumption(Record, frozen=True, kw_only=True):
    """A figure that the answer rests on."""

    name: str
    value: str
    source: str
    as_of: str = ""
    verified: bool = True


def assumed(row: Figure) -> Assumption:
    """A row of figures.csv as what an answer rests on."""
    value = f"{row.value:g} {row.unit} ({row.low:g} to {row.high:g})"
    return Assumption(name=row.name, value=value, source=row.source, as_of=row.as_of, verified=row.verified)


class Milestone(Record, frozen=True, kw_only=True):
    """A bar of a time line, in weeks from the decision."""

    name: str
    start_week: float
    weeks: float


class Sizing(Record, frozen=True, kw_only=True):
    """The whole answer. `objective` names what was minimised; `front`: designs that no other beats in time, money and energy at once."""

    question: Question
    objective: str
    best: Design | None
    runner_up: Design | None = None
    reasons: tuple[str, ...] = ()
    binding: Binding | None = None
    conflict: tuple[str, ...] = ()
    front: tuple[Design, ...] = ()
    options: tuple[Design, ...] = ()
    sensitivities: tuple[Sensitivity, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    timeline: tuple[Milestone, ...] = ()
    warnings: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    searched: int = 0

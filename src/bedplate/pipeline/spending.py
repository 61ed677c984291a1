"""Spending: a project's budget against what a plan should cost, and against what runs and services spend as they go.

A purse asks before it spends: at its opening and at every beat it sets aside, in one transaction with the look at what is left, what the
next beat and a stop's grace may cost, and while a plan goes on at least what is left of its low forecast. Where that does not go, the
spender has to stop. So all processes together overspend by no more than what one beat costs: a beat in which attempts begin beside each
other, or in which a process was frozen.

Limits: the period is the time until now (a month is 30.44 days), no calendar's; money is what time costs at the target's price. While the
record cannot be reached nobody looks; with `compute = "inline"` a step is stopped only where it looks itself (`context.stopping`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Literal

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.spending import Spent
from bedplate.core.clock import Clock
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.core.records import Event
from bedplate.core.units import Budget
from bedplate.planner.forecasts.budget import standing
from bedplate.planner.forecasts.history import cost

from .heart import Heart
from .plan import Planned

STOPPED: Final = "budget.stopped"
"""The kind of event that says what the budget stopped (`subject`) and why (`data`)."""
_GRACE_S: Final = 10.0
"""What a run that is stopped has to checkpoint."""
NEXT: Final = "raise budget= in Project(...), or wait: bedplate sql 'select * from costs'"


def spent(catalog: Catalog, budget: Budget, now: datetime) -> float:
    """What went out in the budget's period until now, in US dollars."""
    return catalog.spending.since(now - timedelta(seconds=budget.period_s))


def within_budget(project: Project, planned: Sequence[Planned], price: float, catalog: Catalog, now: datetime) -> float:
    """The low end of what the plan should cost at `price` dollars an hour. Raises Refused where the project's budget does not allow it."""
    if project.budget is None:
        return 0.0
    costs = [cost(one.forecasts[0], price) for one in planned if one.action == "run" and one.forecasts]
    stands = standing(project.budget, spent(catalog, project.budget, now) + catalog.spending.held(now), costs)
    if costs and stands.refusal:
        raise Refused(f"the budget of {project.name} does not allow this", why=stands.refusal, next=NEXT)
    return stands.low


@contextmanager
def paying(purse: Purse | None, low: float, stop: Callable[[str], object]) -> Iterator[None]:
    """Set aside what comes next at every beat while something goes on; `stop` hears why it may not. Raises Refused at the start."""
    if purse is None:
        yield
        return

    def beat() -> None:
        if why := purse.beat():
            stop(why)

    purse.open(low)
    try:
        with Heart("purse", purse.interval_s, beat):
            yield
    finally:
        purse.close()


def lacking(catalog: Catalog, project: Project, now: datetime, need: float, spender: str) -> str:
    """Why a spender may not set `need` dollars aside: what is spent, and set aside by others, leaves less; empty where it may."""
    if project.budget is None:
        return ""
    limit, money = float(project.budget.money.amount), project.budget.money.currency
    gone = spent(catalog, project.budget, now) + catalog.spending.held(now, beside=spender)
    if gone + need <= limit:
        return ""
    return f"{gone:.2f} of {limit:.2f} {money} are spent or set aside, and what comes next costs {need:.2g} or more"


class Purse:
    """What one run or service may spend; `spender` is the run's id, or the service's name and address."""

    def __init__(self, catalog: Catalog, project: Project, *, price: float, clock: Clock, spender: str, interval_s: float) -> None:
        self._catalog = catalog
        self._project = project
        self._price = price
        self._clock = clock
        self._spender = spender
        self.interval_s = interval_s
        self._since = clock.now()
        self._low = 0.0

    def open(self, low: float) -> None:
        """Set aside what the plan costs at least. Raises Refused where others have left too little."""
        self._low = low
        if why := self._catalog.together(self._look):
            raise Refused(f"the budget of {self._project.name} does not allow this", why=why, next=NEXT)

    def beat(self) -> str:
        """Write down what was spent and set aside what the next beat may cost; why to stop, where that does not go."""
        why = self._catalog.together(self._look)
        if why:
            now = self._clock.now()
            self._catalog.events.add(Event(kind=STOPPED, subject=self._spender, at=now, data={"why": why}))
        return f"the budget of {self._project.name} allows no more: {why}" if why else ""

    def close(self) -> None:
        """Nothing more is spent."""
        self._catalog.spending.settle(self._spender)

    def _look(self) -> str:
        """One look: what is spent is written, and the next beat's money set aside; else why not. Inside a transaction."""
        now = self._clock.now()
        running, mine = self._attempts(now)
        need = self._price / 3600 * (self.interval_s + _GRACE_S) * max(1, running)
        rest = self._low - mine
        if why := lacking(self._catalog, self._project, now, need if running else max(need, rest), self._spender):
            self._put(self._spender, self._since, held=self._price / 3600 * _GRACE_S * running)  # it stops, and that takes its time
            return why
        whole = not lacking(self._catalog, self._project, now, max(need, rest), self._spender)
        self._put(self._spender, self._since, held=max(need, rest) if whole else need)
        return ""

    def _attempts(self, now: datetime) -> tuple[int, float]:
        """How many attempts of the run are going on, whose rows are written, and what all of its attempts have cost."""
        running, mine = 0, 0.0
        for attempt in self._catalog.runs.attempts(self._spender):
            if attempt.status != "running":
                mine += attempt.usage.cost_usd
                continue
            usd = max(0.0, (now - attempt.started_at).total_seconds()) / 3600 * self._price
            running, mine = running + 1, mine + usd
            self._put(attempt.id, attempt.started_at, usd=usd)
        return running, mine

    def _put(self, spender: str, hour: datetime, *, usd: float = 0.0, held: float = 0.0) -> None:
        until = self._clock.now() + timedelta(seconds=2 * self.interval_s + _GRACE_S)
        kind: Literal["run", "attempt"] = "run" if spender == self._spender else "attempt"
        self._catalog.spending.put(Spent(spender=spender, hour=hour, kind=kind, usd=usd, held_usd=held, held_until=until))

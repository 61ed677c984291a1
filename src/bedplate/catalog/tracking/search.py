"""Search of runs: which ones, in which order, a page at a time. See `asked` for how a search becomes SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bedplate.catalog.database import Database, Row
from bedplate.core.records import Record

from . import pages
from .asked import FEW, MANY, Sorting, candidates, phases, where
from .clauses import Clause, Order
from .comparing import after
from .details import Details
from .pages import Place, Values
from .tracked import RunDetail, Stage

_MOST_BRANCHES: Final = 40
"""More experiments than these are searched as one."""
_BETTER: Final = 4
"""How many times fewer runs another clause must find to be taken instead."""


class _Start(Record, frozen=True, kw_only=False):
    """Which clause a search asks of its index (-1: none): its runs are few, and it starts from them, or they are one condition.

    Few without a clause: it starts from the children of a run.
    """

    clause: int = -1
    few: bool = False


class Question(Record, frozen=True, kw_only=True):
    """What is looked for: runs of these experiments and stages that satisfy every clause. `limit` is at least 1.

    `parent` says whose children they are; empty: nobody's, the runs at the top; None: wherever they stand.
    """

    experiments: tuple[int, ...]
    clauses: tuple[Clause, ...] = ()
    orders: tuple[Order, ...] = ()
    stages: tuple[Stage, ...] = ("active",)
    parent: str | None = None
    limit: int = 1000
    token: str = ""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same search on its next page."""
        asked = (self.experiments, self.clauses, self.orders, self.stages)
        return asked if self.parent is None else (*asked, self.parent)


class Search:
    """Finds runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def whole(self, question: Question) -> tuple[list[RunDetail], str]:
        """A page of runs with all that they said, of one moment, and the token of the next one. Raises UserError."""

        def work() -> tuple[list[RunDetail], str]:
            ids, token = self.page(question)
            return Details(self._database).of(ids), token

        return self._database.snapshot(work)

    def page(self, question: Question) -> tuple[list[str], str]:
        """The ids of a page of runs, and the token of the next one (empty: this was the last). Raises UserError for a wrong token."""
        sortings = phases(question.orders, Values())
        phase, place = pages.place(question.token, question.identity, [[key.type for key in one.keys] for one in sortings])
        if not question.experiments:
            return [], ""
        start = self._start(question)
        found: list[tuple[int, Row]] = []
        while phase < len(sortings) and len(found) <= question.limit:
            found += [(phase, row) for row in self._rows(question, start, phase, place, question.limit + 1 - len(found))]
            phase, place = phase + 1, None
        ids = [str(row[0]) for _, row in found[: question.limit]]
        if len(found) <= question.limit:
            return ids, ""
        last, row = found[question.limit - 1]
        return ids, pages.token(question.identity, last, _place(row, sortings[last]))

    def _start(self, question: Question) -> _Start:
        """Which clause an index finds the fewest runs for. One is taken for another only if it finds a quarter: none counts for longer."""
        if question.parent:
            return _Start(few=True)
        start, most = _Start(), MANY
        for number in sorted(range(len(question.clauses)), key=lambda one: question.clauses[one].entity != "metric"):
            values = Values()
            query = candidates(question.clauses[number], _inline(question.experiments), values)
            if not query:
                continue
            count = int(self._database.composed(f"SELECT count(*) FROM ({query} LIMIT {most + 1}) AS f", values.given)[0][0])
            if count <= most:
                start, most = _Start(number, few=count <= FEW), count // _BETTER
        return start

    def _rows(self, question: Question, start: _Start, phase: int, place: Place | None, limit: int) -> list[Row]:
        """The next rows of a phase: the id, then the value of each sort key."""
        values = Values()
        sorting = phases(question.orders, values)[phase]
        searched = _inline(question.experiments)
        id = "s.run" if sorting.source and not start.few else "t.id"
        held = [
            f"{id} IN ({candidates(clause, searched, values)})" if number == start.clause and not start.few else where(clause, values)
            for number, clause in enumerate(question.clauses)
        ]
        if question.parent == "":
            held.append("t.parent = ''")
        if place is not None:
            told = [(key.expression, key.falls, value) for key, value in zip(sorting.keys, place, strict=True)]
            held.append(after(told, values))
        ordered = ", ".join(f"k{number}{' DESC' if key.falls else ''}" for number, key in enumerate(sorting.keys))
        bounded = f"ORDER BY {ordered} LIMIT {int(limit)}"
        branches = [
            f"{_selected(sorting, self._from(question, start, sorting, experiments, values), experiments, stages, held)} {bounded}"
            for experiments, stages in _branches(question)
        ]
        if len(branches) == 1:
            return self._database.composed(branches[0], values.given)
        union = " UNION ALL ".join(f"SELECT * FROM ({branch}) AS b{number}" for number, branch in enumerate(branches))
        return self._database.composed(f"{union} {bounded}", values.given)

    def _from(self, question: Question, start: _Start, sorting: Sorting, experiments: str, values: Values) -> str:
        """Where a branch starts: the runs that an index found, the curve that it sorts by, or all runs."""
        source = f" CROSS JOIN {sorting.source}" if sorting.source else ""
        if start.few:
            if question.parent:
                query = f"SELECT id AS run FROM tracked WHERE parent = {values.bind(question.parent)}"
            else:
                query = candidates(question.clauses[start.clause], experiments, values)
            return f"({query}) AS x CROSS JOIN tracked AS t{source}{sorting.joins} WHERE t.id = x.run AND"
        if sorting.source:
            return f"{sorting.source} CROSS JOIN tracked AS t{sorting.joins} WHERE s.experiment IN ({experiments}) AND"
        return f"tracked AS t{sorting.joins} WHERE"


def _selected(sorting: Sorting, begins: str, experiments: str, stages: str, held: Sequence[str]) -> str:
    """The query of one branch, but for its order; what is selected twice has a name of its own each time."""
    columns = ", ".join(f"{key.expression} AS k{number}" for number, key in enumerate(sorting.keys))
    conditions = [f"t.experiment IN ({experiments}) AND t.stage IN ({stages})", *([sorting.where] if sorting.where else []), *held]
    return f"SELECT t.id AS id, {columns} FROM {begins} {' AND '.join(conditions)}"


def _branches(question: Question) -> list[tuple[str, str]]:
    """Experiments and stages of each branch, as SQL: numbers of the record and words of ours, nobody's text."""
    if len(question.experiments) * len(question.stages) > _MOST_BRANCHES:
        return [(_inline(question.experiments), ", ".join(f"'{stage}'" for stage in question.stages))]
    return [(str(int(experiment)), f"'{stage}'") for experiment in question.experiments for stage in question.stages]


def _inline(experiments: Sequence[int]) -> str:
    return ", ".join(str(int(one)) for one in experiments)


def _place(row: Row, sorting: Sorting) -> Place:
    return tuple(float(value) if key.type is float else value for key, value in zip(sorting.keys, row[1:], strict=True))

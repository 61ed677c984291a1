"""Catalog: the one door to the record, with a small class for each thing in it.

Every process opens its own and is an equal peer. Writes are short transactions; `commit` is the only one that makes versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bedplate.core.clock import Clock
from bedplate.core.context import Noted
from bedplate.core.digests import PREFIX
from bedplate.core.records import Attempt, Event, Step, Version

from .accounts import Accounts, Grants
from .answers import Answers
from .artifacts import Artifacts
from .audit import Audit
from .commit import Commit, write_commit, write_skip
from .credentials import Credentials
from .database import Database, Result
from .due import Due
from .events import Events, write_events
from .leases import Leases
from .lineage import Lineage, lineage_of
from .listing import Listing
from .migration import migrate
from .models import Models
from .money import MoneyAndEnergy
from .run_views import RunViews
from .runs import Runs, failure, write_attempt, write_steps
from .services import Services
from .sources import Sources
from .spending import Spending
from .tallies import Tallies
from .tracking.mirror import fill, is_due
from .tracking.registry import fill_registered
from .tracking.tracking import Tracking
from .views import Views


class Catalog:
    """What exists and how it came to be. Made by `Catalog.open`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.artifacts = Artifacts(database)
        self.listing = Listing(database)
        self.runs = Runs(database)
        self.run_views = RunViews(database)
        self.models = Models(database)
        self.leases = Leases(database)
        self.events = Events(database)
        self.services = Services(database)
        self.sources = Sources(database)
        self.due = Due(database)
        self.spending = Spending(database)
        self.money = MoneyAndEnergy(database)
        self.tallies = Tallies(database)
        self.accounts = Accounts(database)
        self.grants = Grants(database)
        self.credentials = Credentials(database)
        self.audit = Audit(database)
        self.answers = Answers(database)
        self.tracking = Tracking(database)
        self.views = Views(database)

    @classmethod
    def open(cls, database: Database, clock: Clock) -> Catalog:
        """Open the record, bringing an older one up to date. Raises Refused for a newer one, CatalogError for a damaged one."""
        try:
            applied = migrate(database)
        except BaseException:
            database.close()
            raise
        catalog = cls(database)
        if applied or is_due(database):  # killed in the middle of it, it is taken up by the next
            fill_registered(database)
            fill(database)
        if applied:
            catalog.events.add(Event(kind="catalog.migrated", subject=f"schema {applied[-1]}", at=clock.now()))
        return catalog

    def kept_files(self, before_ms: int = 0) -> set[str]:
        """The digests of every file that the record names beside versions: what steps kept, and what clients sent.

        Without those of owners deleted before `before_ms`. `gc` keeps their bytes, backups bring them along, `doctor` reads them.
        """
        return self.runs.kept_files() | {PREFIX + digest for digest in self.tracking.files.digests(before_ms)}

    def together(self, work: Callable[[], Result]) -> Result:
        """Do what `work` asks of this catalog as one transaction.

        It is undone where `work` raises, and may be called again after a conflict.
        """
        return self.database.transact(work)

    def audited(
        self, actor: str, action: str, resource: str, now: datetime, work: Callable[[], Result], data: Mapping[str, Any] | None = None
    ) -> Result:
        """Do `work` and record who did what, as one transaction: an act whose entry cannot be written does not happen."""

        def both() -> Result:
            result = work()
            self.audit.add(actor, action, resource, now, data=data)
            return result

        return self.database.transact(both)

    def commit(self, commits: Sequence[Commit]) -> list[tuple[Version, ...]]:
        """Commit finished attempts, all in one transaction; for each, a version per draft, in order.

        Raises BusyError when a lease was lost: nothing of the batch is then committed.
        """
        return self.database.transact(lambda: [write_commit(self.database, commit) for commit in commits])

    def start(self, steps: Sequence[Step], attempts: Sequence[Attempt]) -> None:
        """Record that attempts at these steps begin, in one transaction."""

        def work() -> None:
            write_steps(self.database, steps)
            self.runs.begin_attempts(attempts)

        self.database.transact(work)

    def skip(self, steps: Sequence[Step], moves_head: bool = True) -> None:
        """Record steps answered by an earlier attempt (`result`), whose versions become the heads again; in one transaction."""

        def work() -> None:
            for step in steps:
                write_skip(self.database, step, moves_head)

        self.database.transact(work)

    def fail(self, attempt: Attempt, step: Step, noted: tuple[Noted, ...] = ()) -> None:
        """Record an attempt that failed or was cancelled, its step as it stands now, and what it had said; in one transaction.

        A step that failed is an event too.
        """

        def work() -> None:
            write_attempt(self.database, attempt, noted)
            write_steps(self.database, [step])
            if step.status == "failed":
                write_events(self.database, [failure(attempt, step)])

        self.database.transact(work)

    def lineage(self, ref: str) -> Lineage:
        """What is above and below a version, down to source files. Raises NotFound."""
        return lineage_of(self.database, self.artifacts.get(ref))

    def stamp(self) -> int:
        """A number that grows whenever a head or an alias moves: cheap to poll."""
        return int(self.database.value("stamp"))

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

"""Leases: the right to write an artifact for a while, with a fencing number that grows with every holder.

A holder gives signs of life; who finds a lease expired may take it and gets the next fence, and the late holder's commit is then
refused. Fences are never given twice, also not after a release.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bedplate.core.clock import iso
from bedplate.core.records import Lease

from .database import Database
from .rows import lease_of


class Leases:
    """Who may write what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, now: datetime, ttl_s: float) -> Lease | None:
        """The lease for `ttl_s` seconds, or None where another holds it. The same holder keeps its fence."""
        return self.acquire_many([name], holder, now, ttl_s).get(name)

    def acquire_many(self, names: Iterable[str], holder: str, now: datetime, ttl_s: float) -> dict[str, Lease]:
        """Those of the leases that could be had, by name, in one transaction."""
        asked = sorted(set(names))

        def work() -> dict[str, Lease]:
            got = {name: self._take(name, holder, now, ttl_s) for name in asked}
            return {name: lease for name, lease in got.items() if lease is not None}

        return self._database.transact(work)

    def renew(self, leases: Sequence[Lease], now: datetime, ttl_s: float) -> list[Lease]:
        """A sign of life, in one transaction; returns the leases still held (one missing was taken by another)."""

        def work() -> list[Lease]:
            until = now + timedelta(seconds=ttl_s)
            held = [
                lease for lease in leases
                if self._database.run("lease_renew", name=lease.name, holder=lease.holder, fence=lease.fence, expires_at=iso(until))
            ]  # fmt: skip
            return [Lease(name=lease.name, holder=lease.holder, fence=lease.fence, expires_at=until) for lease in held]

        return self._database.transact(work)

    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back; those that another has taken stay with it."""
        self._database.many("lease_release", [{"name": one.name, "holder": one.holder, "fence": one.fence} for one in leases])

    def steal(self, dead: Lease, holder: str, now: datetime, ttl_s: float) -> Lease | None:
        """Take the lease of a holder that is known to be dead before it expires; None where it is no longer that holder's."""

        def work() -> Lease | None:
            row = self._database.one("lease_get", name=dead.name)
            if row is None or (row[1], row[2]) != (dead.holder, dead.fence):
                return None
            return self._give(dead.name, holder, dead.fence + 1, now, ttl_s)

        return self._database.transact(work)

    def holder(self, name: str) -> Lease | None:
        """The lease as held now (it may have expired); None where nobody holds it."""
        row = self._database.one("lease_get", name=name)
        return None if row is None or not row[1] else lease_of(row)

    def held(self) -> list[Lease]:
        """Every lease with a holder, expired or not."""
        return [lease_of(row) for row in self._database.rows("leases_held")]

    def _take(self, name: str, holder: str, now: datetime, ttl_s: float) -> Lease | None:
        row = self._database.one("lease_get", name=name)
        if row is None:
            return self._give(name, holder, 1, now, ttl_s)
        lease = lease_of(row)
        if lease.holder == holder:
            return self._give(name, holder, lease.fence, now, ttl_s)
        if lease.holder and lease.expires_at > now:
            return None
        return self._give(name, holder, lease.fence + 1, now, ttl_s)

    def _give(self, name: str, holder: str, fence: int, now: datetime, ttl_s: float) -> Lease:
        until = now + timedelta(seconds=ttl_s)
        self._database.run("lease_put", name=name, holder=holder, fence=fence, expires_at=iso(until))
        return Lease(name=name, holder=holder, fence=fence, expires_at=until)

"""Leases: the right to write an artifact for a while, with a fencing number that grows with every holder.

A holder gives signs of life; who finds a lease expired may take it and gets the next fence, and the late holder's commit is then
refused. Fences are never given twice, also not after a release. A lease that reaches further than any does was given by a clock that was
ahead: it is cut to what a lease lasts from now, in which a holder that lives gives a sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bedplate.core.clock import iso
from bedplate.core.records import Lease

from .database import Database
from .rows import lease_of

_LONG_S: Final = 600.0
"""What no lease lasts, unless it is asked for that long."""


class Leases:
    """Who may write what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, name: str, holder: str, now: datetime, ttl_s: float) -> Lease | None:
        """The lease for `ttl_s` seconds, or None where another holds it. The same holder keeps its fence."""
        got = self.acquire_many([name], holder, now, ttl_s)
        return got[0] if got else None

    def acquire_many(self, names: Sequence[str], holder: str, now: datetime, ttl_s: float) -> list[Lease] | None:
        """All of these leases in the order of the names, or None and none of them where another holds one."""

        def work() -> list[Lease] | None:
            kept = {name: self._lease(name) for name in names}
            held = [one for one in kept.values() if one is not None and one.holder not in ("", holder) and one.expires_at > now]
            if held:
                self._cut(held, now, ttl_s)
                return None
            return [self._give(name, holder, _fence(kept[name], holder), now, ttl_s) for name in names]

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
            kept = self._lease(dead.name)
            if kept is None or (kept.holder, kept.fence) != (dead.holder, dead.fence):
                return None
            return self._give(dead.name, holder, dead.fence + 1, now, ttl_s)

        return self._database.transact(work)

    def holder(self, name: str) -> Lease | None:
        """The lease as held now (it may have expired); None where nobody holds it."""
        lease = self._lease(name)
        return lease if lease is not None and lease.holder else None

    def held(self) -> list[Lease]:
        """Every lease with a holder, expired or not."""
        return [lease_of(row) for row in self._database.rows("leases_held")]

    def _lease(self, name: str) -> Lease | None:
        row = self._database.one("lease_get", name=name)
        return None if row is None else lease_of(row)

    def _cut(self, held: Iterable[Lease], now: datetime, ttl_s: float) -> None:
        """Let those that a clock which was ahead has given end when one given now would."""
        for lease in held:
            if lease.expires_at - now > timedelta(seconds=max(ttl_s, _LONG_S)):
                self._give(lease.name, lease.holder, lease.fence, now, ttl_s)

    def _give(self, name: str, holder: str, fence: int, now: datetime, ttl_s: float) -> Lease:
        until = now + timedelta(seconds=ttl_s)
        self._database.run("lease_put", name=name, holder=holder, fence=fence, expires_at=iso(until))
        return Lease(name=name, holder=holder, fence=fence, expires_at=until)


def _fence(kept: Lease | None, holder: str) -> int:
    """The fence of a lease's next holder: its own again for who holds it now, else one more than ever given."""
    if kept is None:
        return 1
    return kept.fence if kept.holder == holder else kept.fence + 1

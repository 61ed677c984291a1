"""Router: takes each request to a replica, holds it while one starts, and takes it to another where a replica fails it and that is safe.

What is decided, `planner/routing/` decides; here is what it is told and what comes of it. Everything runs on the loop of the plane that
reads the requests, and a request costs no task: it is written to a connection that is free, and its answer to the client as it comes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bedplate.core.records import Record
from bedplate.interfaces.http.answered import Answered
from bedplate.interfaces.http.replies import Problem
from bedplate.planner.routing.again import Lost, may_again
from bedplate.planner.routing.choose import choose
from bedplate.planner.routing.records import Home, Refuse, Rules, Send, State

from .member import Member
from .passing import Passing
from .question import has_ended
from .tally import Tally

_WORDS: Final = {
    "full": ("the server is full", "every replica has as many requests in hand as it takes (setting `replica_queue`)"),
    "away": ("no replica answers", "all that may be asked are away"),
    "ejected": ("no replica answers", "those that may be asked failed again and again"),
    "outside": ("no replica may be asked", "none is in a region that requests may go to (setting `regions`)"),
}


class Settings(Record, frozen=True, kw_only=True):
    """Where the router is, how it treats replicas, and the largest body that it takes, in bytes."""

    home: Home = Home()
    rules: Rules = Rules()
    body_limit: int = 16_000_000


class Router:
    """The replicas, and the requests that are on their way. `timer` gives seconds."""

    def __init__(self, settings: Settings, timer: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.timer = timer
        self.members: list[Member] = []
        self.tally = Tally()
        self.late: dict[str, float] = {}
        """When an answer of a service is late, in seconds."""
        self.more: Callable[[], bool] = lambda: False
        """Whether replicas can be started though there is none."""
        self.wanted: Callable[[], None] = lambda: None
        """Hears that a request waits."""
        self._held: deque[Passing] = deque()
        self._turn = 0

    @property
    def held(self) -> int:
        """Requests that wait until a replica is there."""
        return len(self._held)

    @property
    def running(self) -> int:
        """Requests that replicas have in hand."""
        return sum(one.standing.running for one in self.members)

    def late_s(self, service: str) -> float:
        """When an answer of a service is late; 0: it says nothing of that."""
        return self.late.get(service, 0.0)

    def take(self, passing: Passing) -> Answered | None:
        """Take a request on; the answer where it is refused at once."""
        self.tally.came += 1
        refused = self._place(passing)
        return None if refused is None else passing.route.refused(passing.head, self._refused(refused))

    def answered(self, passing: Passing, status: int) -> None:
        """A replica has begun to answer."""
        member = passing.member
        if member is not None:
            member.answered += 1
            if member.standing.failures:
                member.standing = member.standing.answered()
        self.tally.answer(status, time.perf_counter() - passing.started, passing.route.late_s)

    def left(self, passing: Passing) -> None:
        """A request has left its replica."""
        member, passing.member = passing.member, None
        if member is not None:
            member.standing = member.standing.left()
        if self._held:
            asyncio.get_running_loop().call_soon(self.changed)

    def lost(self, passing: Passing, *, was_sent: bool, is_refused: bool) -> None:
        """A replica did not answer: another does where that is safe."""
        member = passing.member
        self.left(passing)
        if member is None:
            return
        member.lost += 1
        if member.standing.state in ("ready", "waiting", "suspect"):
            self._away(member)
        if passing.is_begun:
            return
        if was_sent and not member.standing.is_ours and not is_refused:
            passing.wire.keeper.start(self._later(passing, member))
        else:
            self._again(passing, member, was_sent=was_sent, has_ended=True)

    def changed(self) -> None:
        """A replica came, or has room again: whoever waits is placed."""
        for _ in range(len(self._held)):
            passing = self._held.popleft()
            if passing.wire.gone:
                continue
            refused = self._place(passing)
            if refused is None and not (self._held and self._held[-1] is passing):
                continue
            if refused is not None and refused.why != "full":
                self._refuse(passing, refused)
                continue
            if refused is None:
                self._held.pop()
            self._held.appendleft(passing)
            return

    def look(self) -> None:
        """Called every second: nobody waits for ever, and those who have gone do not wait."""
        since = time.perf_counter() - self.settings.rules.patience_s
        waiting, self._held = self._held, deque()
        for passing in waiting:
            if passing.wire.gone:
                continue
            if passing.started < since:
                self._refuse(passing, Refuse("away"))
            else:
                self._held.append(passing)

    def _place(self, passing: Passing) -> Refuse | None:
        """Send a request or hold it; why not, where nobody gets it."""
        settings = self.settings
        standings = [one.standing for one in self.members]
        choice = choose(
            standings, self.timer(), settings.home, settings.rules, held=len(self._held), tried=passing.tried, more=self.more(),
            key=passing.key,
        )  # fmt: skip
        if isinstance(choice, Send):
            member = self.members[choice.at]
            self._turn += 1
            member.standing = member.standing.sent(self._turn)
            passing.send(member)
            return None
        if isinstance(choice, Refuse):
            return choice
        self._held.append(passing)
        self.wanted()
        return None

    def _replace(self, passing: Passing) -> None:
        refused = self._place(passing)
        if refused is not None:
            self._refuse(passing, refused)

    async def _later(self, passing: Passing, member: Member) -> None:
        """A connection to another machine ended without an answer: whether the replica did, too, is asked of that machine."""
        self._again(passing, member, was_sent=True, has_ended=await has_ended(member))

    def _again(self, passing: Passing, member: Member, *, was_sent: bool, has_ended: bool) -> None:
        """Take a request to another replica, or tell its client that nobody knows."""
        lost = Lost(method=passing.head.method.decode(), offered=passing.offered, sent=passing.sent, was_sent=was_sent, has_ended=has_ended)
        passing.tried = (*passing.tried, member.name)
        if passing.wire.gone:
            return
        if may_again(lost, self.settings.rules):
            self.tally.retried["unanswered" if was_sent else "unsent"] += 1
            self._replace(passing)
            return
        self.tally.refuse(502, "lost")
        why = "it ended while it worked on the request" if has_ended else "its connection ended, and nobody knows whether it has"
        passing.refuse(Problem(502, "the replica did not answer", why=why, next="send it again", headers=((b"retry-after", b"1"),)))

    def _away(self, member: Member) -> None:
        """It failed: nothing more goes there until it is seen again. One of ours that ended is started again by who keeps it."""
        state: State = "starting" if member.standing.is_ours else "gone"
        member.standing = member.standing.failed(self.settings.rules.trust, self.timer(), state)

    def _refuse(self, passing: Passing, refused: Refuse) -> None:
        passing.refuse(self._refused(refused))

    def _refused(self, refused: Refuse) -> Problem:
        """What a client is told whom nobody answers."""
        self.tally.refuse(503, refused.why)
        what, why = _WORDS[refused.why]
        wait = b"%d" % math.ceil(refused.retry_s)
        return Problem(503, what, why=why, next=f"try again in {wait.decode()} s", headers=((b"retry-after", wait),))

"""Fleet: the replicas that are processes of ours, as many as `planner/scaling/` says, looked at every second, and drained at the end.

The first one is started before the server answers, and what is wrong with the project is said once, by it. The one with the highest number
is drained first, so that the one that speaks for all, which has the lowest, stays longest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bedplate.core.errors import InternalError
from bedplate.core.records import Record
from bedplate.interfaces.http.plane.counts import end_counts
from bedplate.interfaces.http.plane.process import FINAL
from bedplate.interfaces.http.plane.seat import Seat
from bedplate.planner.scaling.scale import Measured, Scale, begin, scale

from .looking import EVERY_S, look
from .member import Member, said_of
from .replica import Command, Replica
from .router import Router

_TURN_S: Final = 0.02


class Said(Record, frozen=True):
    """Of a replica's first line: when an answer of each service is late, in seconds."""

    p95: dict[str, float] = msgspec.field(default_factory=dict)


_DECODER: Final = msgspec.json.Decoder(Said)

Heard = Callable[[bytes, bool], None]
"""Hears a line of the replica that speaks for all, and whether it is the one that says that the server answers."""


class Fleet:
    """What keeps the replicas, for as long as the router answers. `stop` ends the router; `rules` is None where all are elsewhere.

    `no_grpc` is why nothing answers gRPC, empty where it is answered.
    """

    def __init__(self, router: Router, rules: Scale | None, folder: str, command: Command, heard: Heard) -> None:
        self.code = 0
        self.seat = Seat(descriptor=-1, number=0, folder=folder)
        """What the seats of all replicas say alike: where clients ask."""
        self.no_grpc = ""
        self.stop: Callable[[], None] = lambda: None
        self.is_told: Callable[[], bool] = lambda: False
        self.first: bytes | None = None
        self._router = router
        self._rules = rules
        self._folder = folder
        self._command = command
        self._heard = heard
        self._early: list[bytes] | None = []
        self._replicas: dict[int, Replica] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._soon = asyncio.Event()
        self._seen = (0, 0, 0)
        router.wanted = self._soon.set
        router.more = lambda: bool(rules) and not self._live()

    async def __aenter__(self) -> Fleet:
        """Start the first replica and wait until it is ready, then the others; look from now on."""
        rules = self._rules
        if rules is not None:
            first = self._start()
            while not first.is_up and not self.is_told():
                await asyncio.sleep(_TURN_S)
            while len(self._replicas) < rules.least and not self.is_told():
                self._start()
            while not all(one.is_up for one in self._replicas.values()) and not self.is_told():
                await asyncio.sleep(_TURN_S)
        await asyncio.gather(*(look(self._router, one, self._hung) for one in self._router.members if not one.standing.is_ours))
        self._do(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all: they have answered by now; what goes on, as a stream without end, is cut as one server alone cuts it."""
        for task in self._tasks:
            task.cancel()
        for one in self._replicas.values():
            one.member.standing = one.member.standing.seen("draining")
            one.member.pool.abort()
        codes = await asyncio.gather(*(one.drain() for one in self._replicas.values()))
        self.code = self.code or max([0, *codes])

    def begun(self) -> None:
        """The router answers: say so, with its replicas, and what the first one has said since."""
        self._heard(self._with_replicas(self.first or self._of_others()), True)
        early, self._early = self._early or [], None
        for line in early:
            self._heard(line, False)

    def _of_others(self) -> bytes:
        """What the server says where every replica is elsewhere: what these say of themselves."""
        said = [one.said for one in self._router.members]
        services, models = (sorted({name for one in said for name in one.get(what, {})}) for what in ("services", "models"))
        url, grpc = self.seat.url, self.seat.grpc_at or None
        ready: dict[str, Any] = {"url": url, "models": models, "services": services, "grpc": grpc, "versions": {}, "waiting": {}}
        ready["no_grpc"] = self.no_grpc
        replicas = "1 replica" if len(said) == 1 else f"{len(said)} replicas"
        lines = [f"routing to {replicas} at [bold]{url}[/bold]", f"  gRPC     {grpc or f'none: {self.no_grpc}'}", "  stop     Ctrl-C"]
        return msgspec.json.encode({"ready": ready, "said": lines})

    def _with_replicas(self, line: bytes) -> bytes:
        """What the server says first, with how each replica stands and how many there may be of its own."""
        told = msgspec.json.decode(line)
        told["ready"]["replicas"] = {one.name: said_of(one) for one in self._router.members}
        told["ready"]["scale"] = None if self._rules is None else [self._rules.least, self._rules.most]
        return msgspec.json.encode(told)

    def _live(self) -> list[Replica]:
        return [one for one in self._replicas.values() if not one.is_draining]

    def _start(self) -> Replica:
        """Start one, under the lowest number that is free."""
        number = next(at for at in range(len(self._replicas) + 1) if at not in self._replicas)
        replica = Replica(number, self._router, self.seat, self._command, self._told, self._line, self._ended)
        self._replicas[number] = replica
        return replica

    async def _drain(self, replica: Replica) -> None:
        await replica.drain()
        self._replicas.pop(replica.number, None)
        with contextlib.suppress(OSError):  # a full disk: the counts of this one stay as they are
            end_counts(self._folder, str(replica.number))
        self._soon.set()

    def _told(self, _replica: Replica, line: bytes) -> None:
        """A replica answers: what the first one says is what the server says."""
        self._router.late.update(_DECODER.decode(line).p95)
        self.first = self.first or line

    def _line(self, replica: Replica, line: bytes) -> None:
        if replica.number != min(self._replicas):
            return
        if self._early is None:
            self._heard(line, False)
        else:
            self._early.append(line)

    def _ended(self, _replica: Replica, code: int) -> bool:
        """Whether one that ended by itself is started again: else all end."""
        if code not in FINAL and self.first is not None:
            return True
        self.code = code if code > 0 else InternalError.exit_code
        self.stop()
        return False

    def _hung(self, member: Member) -> None:
        """A replica does not answer: what it has in hand is lost there; a process of ours is killed."""
        for one in self._replicas.values():
            if one.member is member:
                one.kill()
                return
        member.pool.abort()

    async def _watch(self) -> None:
        """Look at the replicas, and at how many there should be."""
        timer = self._router.timer
        past, looked_at = begin(timer()), 0.0
        while True:
            if timer() - looked_at >= EVERY_S:
                looked_at = timer()
                self._router.look()
                for member in filter(self._is_looked_at, list(self._router.members)):
                    self._do(look(self._router, member, self._hung))
            if self._rules is not None:
                decided = scale(self._rules, past, self._measured())
                past = decided.past
                self._become(decided.count)
            self._soon.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), EVERY_S)

    def _is_looked_at(self, member: Member) -> bool:
        return not member.standing.is_ours or any(one.member is member and one.is_up for one in self._replicas.values())

    def _measured(self) -> Measured:
        tally, live = self._router.tally, self._live()
        now = (tally.answered, tally.late, tally.came)
        answered, late, came = (this - last for this, last in zip(now, self._seen, strict=True))
        self._seen = now
        ready = sum(one.is_up for one in live)
        return Measured(
            at=self._router.timer(), ready=ready, starting=len(live) - ready, running=self._router.running, held=self._router.held,
            answered=answered, late=late, came=came,
        )  # fmt: skip

    def _become(self, count: int) -> None:
        """Start or drain what is missing or too many."""
        live = self._live()
        for _ in range(count - len(live)):
            self._start()
            self._router.tally.scaled["up"] += 1
        for replica in sorted(live, key=lambda one: -one.number)[: max(0, len(live) - count)]:
            replica.member.standing = replica.member.standing.seen("draining")
            self._do(self._drain(replica))
            self._router.tally.scaled["down"] += 1

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

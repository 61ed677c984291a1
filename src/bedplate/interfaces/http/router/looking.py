"""Looking: every second each replica is asked whether it is ready; what it says, and that it says something, is how it stands.

One that misses two looks gets requests only where nobody else does; one that misses ten is held to be hung: its connections are ended, and
where it is a process of ours it is killed and started again. One at another address that cannot be reached is away until it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from bedplate.planner.routing.records import State

from .member import Member
from .question import ask
from .router import Router

EVERY_S: Final = 1.0
_SUSPECT: Final = 2
_HUNG: Final = 10


async def look(router: Router, member: Member, hung: Callable[[Member], None]) -> None:
    """Look at one replica now; `hung` hears of one that does not answer again and again."""
    before = member.standing.state
    try:
        status, body = await ask(member, b"/health/ready")
    except OSError as error:
        _missed(member, hung, is_away=isinstance(error, ConnectionError) and not member.standing.is_ours)
        return
    member.misses = 0
    member.said = _read(body)
    if member.standing.state == "draining":
        return
    state: State = "ready" if status == 200 else "waiting"
    member.standing = member.standing.seen(state)
    if before not in ("ready", "waiting"):
        router.changed()


def _missed(member: Member, hung: Callable[[Member], None], *, is_away: bool) -> None:
    """It did not answer."""
    member.misses += 1
    if member.standing.state in ("draining", "starting") and member.standing.is_ours:
        return
    if is_away:
        member.standing = member.standing.seen("gone")
    elif member.misses >= _SUSPECT:
        member.standing = member.standing.seen("suspect")
    if member.misses >= _HUNG:
        member.misses = 0
        hung(member)


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return said if isinstance(said, dict) else {}

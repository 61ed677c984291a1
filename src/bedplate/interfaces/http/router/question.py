"""Question: what the router itself asks a replica: whether it is ready, what it counted, and whether it has ended."""

from __future__ import annotations

import asyncio
from typing import Final

from .link import Link
from .member import Member

LOOK_S: Final = 2.0
_TRIES: Final = 20
_PAUSE_S: Final = 0.05


class _Look:
    """A question to a replica, whose answer is kept."""

    def __init__(self) -> None:
        self.said: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def whole(self, status: int, _lines: bytes, body: bytes) -> None:
        """The answer."""
        if not self.said.done():
            self.said.set_result((status, body))

    def begins(self, _status: int, _lines: bytes, _length: int | None, link: Link) -> None:
        """What comes in pieces is no answer to this."""
        link.abort()

    def piece(self, _data: bytes) -> None:
        """Nobody needs it."""

    def ends(self) -> None:
        """Nor its end."""

    def lost(self, *, was_sent: bool, is_refused: bool) -> None:
        """There is none."""
        if not self.said.done():
            self.said.set_exception(ConnectionRefusedError() if is_refused else ConnectionResetError(f"sent: {was_sent}"))


async def ask(member: Member, path: bytes) -> tuple[int, bytes]:
    """What a replica says at a path: status and body. Raises OSError where it does not."""
    look = _Look()
    member.pool.ask(look, b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (path, member.host or b"localhost"))
    async with asyncio.timeout(LOOK_S):
        return await look.said


async def has_ended(member: Member) -> bool:
    """Whether the process of a replica elsewhere, whose connection ended, has ended: nobody listens there. It has not where it answers.

    A process that is ending lets go of its connections and of its port at different moments: it is asked again for a second.
    """
    for _ in range(_TRIES):
        try:
            await ask(member, b"/health/live")
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        except OSError:
            await asyncio.sleep(_PAUSE_S)
        else:
            return False
    return False

"""In hand: bytes that come when they come, and whether a whole line of them is here already, so that nobody waits for company."""

from __future__ import annotations

from typing import Final, Protocol

PIECE: Final = 1 << 16


class Given(Protocol):
    """Where the bytes come from."""

    def read1(self, size: int = -1, /) -> bytes:
        """What there is, at most so many; nothing at the end."""
        ...

    def seekable(self) -> bool:
        """Whether it is a file that can be gone on with."""
        ...


class InHand:
    """Lines of bytes. At most `PIECE` of them are read ahead of the line that is asked for."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._held = bytearray()

    @property
    def has_line(self) -> bool:
        """Whether a whole line can be read without waiting."""
        return b"\n" in self._held

    @property
    def can_go_on(self) -> bool:
        """Whether what is left at its end can be read another time."""
        return self._given.seekable()

    def readline(self, limit: int) -> bytes:
        """The next line with its end, or the first `limit` bytes of it; at the end what is left, then nothing."""
        seen, end = 0, self._held.find(b"\n", 0, limit)
        while end < 0 and len(self._held) < limit:
            seen = len(self._held)
            piece = self._given.read1(PIECE)
            if not piece:
                break
            self._held += piece
            end = self._held.find(b"\n", seen, limit)
        size = end + 1 if end >= 0 else min(limit, len(self._held))
        text = bytes(self._held[:size])
        del self._held[:size]
        return text

"""Answers to requests that made something new, for a minute, by a digest of the request: a retry is told what was made.

Kept in the transaction that made it, so that this holds over a restart of the server, and between servers.
"""

from __future__ import annotations

from typing import Final

from .database import Database

KEPT_MS: Final = 60_000


class Answers:
    """What was answered lately."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, digest: str, now_ms: int) -> bytes | None:
        """The answer to an equal request of the last minute; None where there was none."""
        found = self._database.value("answer_of", digest=digest, since=now_ms - KEPT_MS)
        return None if found is None else str(found).encode()

    def keep(self, digest: str, answer: bytes, now_ms: int) -> None:
        """Keep an answer (JSON) for a minute, and let go of older ones; within the transaction of what it tells of."""
        self._database.run("answers_end", before=now_ms - KEPT_MS)
        self._database.run("answer_put", digest=digest, answer=answer.decode(), at=now_ms)

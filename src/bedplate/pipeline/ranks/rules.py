"""What becomes of a group of ranks after one of them failed. Pure.

A rank that died or hangs is named; the others, which only lost their partner, are not. The group begins again from its last checkpoint
on as many ranks; where it failed three times in a row without coming further, on one fewer; on one rank it gives up after that. An error
in the project's own code is no matter of luck: it ends the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from bedplate.core.records import Cause, Record

SAME: Final = 3
"""So many failures in a row without a newer checkpoint, then one rank fewer."""
_TORN: Final = ("gloo", "Connection closed", "Connection reset", "Broken pipe")
"""What the others' errors speak of, where one rank has left."""
_TIMED_OUT: Final = ("Timed out", "timed out", "Timeout")


class End(Record, frozen=True, kw_only=True):
    """How a rank ended: `hung` where it gave no sign of life, `running` where it had not ended when the first one did."""

    rank: int
    how: Literal["ok", "lost", "hung", "failed", "running"]
    message: str = ""
    cause: Cause = ""


class Verdict(Record, frozen=True, kw_only=True):
    """What to do: begin again on `world` ranks (0: not at all), and why in words."""

    world: int
    why: str
    fails: int = 0
    cause: Cause = ""


def judge(ends: Sequence[End], world: int, before: int, *, came_further: bool) -> Verdict:
    """What to do after these ends; `before` failures in a row had come no further."""
    named = blamed(ends)
    who = ", ".join(f"rank {end.rank} of {world}" for end in named)
    how = named[0]
    why = f"{who} {how.message}"
    if how.how == "failed":
        return Verdict(world=0, why=f"{who}: {how.message}", cause=how.cause)
    fails = 1 if came_further else before + 1
    if fails < SAME:
        return Verdict(world=world, why=why, fails=fails)
    if world > 1:
        return Verdict(world=world - 1, why=why)
    return Verdict(world=0, why=why, cause="lost")


def blamed(ends: Sequence[End]) -> list[End]:
    """Whose fault it was: the dead before the silent, before those that others waited for in vain, before those that failed."""
    for how in ("lost", "hung"):
        if found := [end for end in ends if end.how == how]:
            return found
    failed = [end for end in ends if end.how == "failed"]
    waited = [end for end in failed if any(words in end.message for words in _TIMED_OUT)]
    still = [end for end in ends if end.how == "running"]
    if waited and len(waited) == len(failed) and still:
        return [End(rank=end.rank, how="hung", message="did not take part any more") for end in still]
    own = [end for end in failed if not _torn(end)]
    return (own or failed)[:1]


def spoilt(ends: Sequence[End]) -> bool:
    """Whether a rank's failure spoils what rank 0 has made: it does not, where a rank only lost its partner, who was done."""
    return any(end.how in ("lost", "hung") or (end.how == "failed" and not _torn(end)) for end in ends)


def _torn(end: End) -> bool:
    return any(words in end.message for words in _TORN)


def silent(heard: Mapping[int, float], now: float, timeout_s: float) -> list[int]:
    """The ranks that gave a sign of life once, and none for so long."""
    return sorted(rank for rank, at in heard.items() if now - at > timeout_s)

"""Whether to try a step again, by the cause of its end. Pure.

    cause      tries again            waits            with
    code       `retries` times        2, 4, 8, ... s   the same needs
    memory     `retries` times        not              twice, 4, 8, ... times the memory declared
    time       `retries` times        2, 4, 8, ... s   the same needs
    lost       at least once          1, 2, 4, ... s   the same needs
    world      at least once          1, 2, 4, ... s   the same needs
    user       never                                   the same mistake would come again
    cancelled  never                                   somebody asked for it

Waits are capped at a minute. Attempts count from 1, whatever their causes were.
"""

from __future__ import annotations

import msgspec

from bedplate.core.project import Needs
from bedplate.core.records import Cause, Record
from bedplate.core.units import show_bytes

_LONGEST_S = 60.0


class Retry(Record, frozen=True, kw_only=True):
    """Try again after `wait_s` seconds, with these needs."""

    wait_s: float
    needs: Needs
    reason: str


class Stop(Record, frozen=True, kw_only=True):
    """Give up: the attempt's end is the step's."""

    reason: str


def decide(attempt_number: int, cause: Cause, needs: Needs, memory_used: int = 0) -> Retry | Stop:
    """What follows an attempt that failed.

    `attempt_number` counts from 1, `needs` are those that the step declares, `memory_used` is the attempt's peak in bytes, of which a
    step without a limit gets twice as much. A step that succeeded (cause "") stops.
    """
    if cause in ("", "user", "cancelled"):
        return Stop(reason={"": "it is done", "user": "trying again would make the same mistake"}.get(cause, "it was cancelled"))
    if cause == "memory":
        return _memory(attempt_number, needs, memory_used)
    patient = cause in ("lost", "world")
    tries = max(needs.retries, 1) if patient else needs.retries
    if attempt_number > tries:
        return Stop(reason=f"tried {attempt_number} times" if tries else "it declares no retries")
    wait = min((1.0 if patient else 2.0) * 2.0 ** (attempt_number - 1), _LONGEST_S)
    return Retry(wait_s=wait, needs=needs, reason=f"try {attempt_number + 1} of {tries + 1}")


def _memory(attempt_number: int, needs: Needs, memory_used: int) -> Retry | Stop:
    if attempt_number > needs.retries:
        return Stop(reason=f"out of memory {attempt_number} times" if needs.retries else "it declares no retries")
    doubled = 2**attempt_number * needs.memory_bytes if needs.memory_bytes else 2 * memory_used
    more = msgspec.structs.replace(needs, memory_bytes=doubled) if doubled else needs
    told = f", with {show_bytes(doubled)} of memory" if doubled else ""
    return Retry(wait_s=0.0, needs=more, reason=f"try {attempt_number + 1} of {needs.retries + 1}{told}")

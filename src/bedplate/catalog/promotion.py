"""Who may have an alias: pure decisions on the history of its moves (invariant 8).

A verdict is judged once, at its commit. One that says what an earlier one said does not overrule a person who moved the alias since; it
does follow a project that went back to earlier code. A version rolled back from is barred until a person promotes it; a rollback goes to
the version that stood before the one now named, past barred ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bedplate.core.records import Promotion, Verdict
from bedplate.planner.rollout import rule

PRODUCTION = "production"
ROLL_OUT = "roll-out"
"""What stands in a move's `check` where the outcomes of a roll-out made it."""


def barred_by(history: Iterable[Promotion]) -> set[int]:
    """The versions of a model that no verdict may promote; `history` is every move of its aliases, oldest first."""
    barred: set[int] = set()
    for move in history:
        if move.by == "rollback" and move.before is not None:
            barred.add(move.before)
        elif move.by == "person":
            barred.discard(move.version)
    return barred


def decide_promotion(verdict: Verdict, current: int | None, barred: set[int], history: Sequence[Promotion]) -> Promotion | None:
    """The move that a verdict asks for, or None: not passed, promotes nothing, already there, barred, or a person knew better."""
    version = verdict.model_version
    if not (verdict.passed and verdict.promotes) or version == current or version in barred:
        return None
    moves = [move for move in history if move.alias == verdict.promotes]
    if moves and moves[-1].by != "verdict" and any(is_of(move, verdict) for move in moves):
        return None
    return Promotion(
        model=verdict.model, alias=verdict.promotes, version=version, before=current, by="verdict", at=verdict.at,
        reason=f"passed {verdict.check}", check=verdict.check, check_version=verdict.check_version,
    )  # fmt: skip


def is_of(move: Promotion, verdict: Verdict) -> bool:
    """Whether this move was made by that verdict on that version."""
    return (
        move.by == "verdict"
        and (move.alias, move.version) == (verdict.promotes, verdict.model_version)
        and (move.check, move.check_version) == (verdict.check, verdict.check_version)
    )


def rollback_target(alias: str, history: Sequence[Promotion], barred: set[int]) -> int | None:
    """The version to go back to, or None where there is none; `history` is every move of the model's aliases, oldest first."""
    moves = [move for move in history if move.alias == alias]
    if not moves:
        return None
    at = moves[-1].version
    seen = {at}
    while (before := _before(at, moves)) is not None and before not in seen:
        if before not in barred:
            return before
        at = before
        seen.add(at)
    return None


def rolled_out(history: Sequence[Promotion]) -> list[Promotion]:
    """The moves that try a version now: a canary, a shadow, both or none; `history` is every move of a model's aliases, oldest first.

    A roll-out begins with a person's rule, and ends when its alias or production moves, whoever moves it.
    """
    moved = max((at for at, move in enumerate(history) if move.alias == PRODUCTION), default=-1)
    production = history[moved].version if moved >= 0 else None
    found = []
    for way in rule.WAYS:
        at = max((at for at, move in enumerate(history) if move.alias == way), default=-1)
        if at > moved >= 0 and is_rolled_out(history[at]) and history[at].version != production:
            found.append(history[at])
    return found


def is_rolled_out(move: Promotion) -> bool:
    """Whether that move began a roll-out."""
    return move.by == "person" and move.alias in rule.WAYS and rule.read(move.check) is not None


def over(history: Sequence[Promotion]) -> set[str]:
    """The aliases under which a version was tried and is no more, so that what they name says nothing; `history` as above."""
    last = {move.alias: move for move in history if move.alias in rule.WAYS}
    now = rolled_out(history)
    return {alias for alias, move in last.items() if move.by == "rollback" or (is_rolled_out(move) and move not in now)}


def undone(history: Iterable[Promotion]) -> list[Promotion]:
    """The moves that servers took back by themselves, of which the alias has not moved since; `history` as above."""
    last = {move.alias: move for move in history}
    return [move for move in last.values() if move.by == "rollback" and not move.actor and move.before is not None]


def _before(version: int, moves: Sequence[Promotion]) -> int | None:
    """What an alias named before that version was last promoted (not rolled back to); `moves` are of one alias, oldest first."""
    return next((move.before for move in reversed(moves) if move.version == version and move.by != "rollback"), None)

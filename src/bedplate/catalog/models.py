"""Models: aliases, who moved them and why, and what checks said. The rules are in `promotion.py`."""

from __future__ import annotations

from datetime import datetime

import msgspec

from bedplate.core.clock import parse
from bedplate.core.errors import NotFound, Refused
from bedplate.core.records import Event, Promotion, Record, Verdict

from . import rows
from .database import Database
from .events import write_events
from .promotion import PRODUCTION, ROLL_OUT, barred_by, decide_promotion, is_of, is_rolled_out, over, rollback_target, rolled_out, undone


class Withdrawal(Record, frozen=True, kw_only=True):
    """An alias was taken away from the version that it named."""

    alias: str
    version: int
    actor: str
    at: datetime


class Models:
    """Aliases of model versions, with their whole history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def aliases(self, model: str) -> dict[str, int]:
        """Today's aliases with the version that each names."""
        return dict(self._database.rows("promotions_last", model=model))

    def alias(self, model: str, alias: str) -> int | None:
        """The version that an alias names; None before the first promotion."""
        found = self._database.value("promotion_alias", model=model, alias=alias)
        return None if found is None else int(found)

    def history(self, model: str, alias: str = "") -> list[Promotion]:
        """Every move of a model's aliases (or of one), oldest first."""
        moves = [rows.promotion_of(row) for row in self._database.rows("promotions_of_model", model=model)]
        return [move for move in moves if not alias or move.alias == alias]

    def barred(self, model: str) -> set[int]:
        """Versions that no verdict may promote: rolled back from, and not promoted by a person since; or deleted."""
        return barred_by(self.history(model)) | self.deleted(model)

    def deleted(self, model: str) -> set[int]:
        """Versions that a client made and deleted: their bytes go, their numbers stay."""
        return {int(row[0]) for row in self._database.rows("registered_deleted", name=model)}

    def verdicts(self, model: str, version: int | None = None) -> list[Verdict]:
        """What checks said of a model (or one version), newest first."""
        return [rows.verdict_of(row) for row in self._database.rows("verdicts_of_model", model=model, number=version)]

    def promote(self, promotion: Promotion) -> Promotion:
        """Move an alias; returns the move with `before` as the record has it.

        A person's move frees a barred version. Raises NotFound for a version that does not exist, Refused where a verdict
        would promote a barred one.
        """
        return self._database.transact(lambda: self._promote(promotion))

    def judge(self, verdict: Verdict, *, promotes: bool = True) -> Promotion | None:
        """Record a verdict and make the promotion that follows from it, if one does and `promotes`; in one transaction."""
        return self._database.transact(lambda: self._judge(verdict, promotes))

    def judge_again(self, attempt: str, at: datetime | None) -> Promotion | None:
        """Make the promotion that the verdict of an earlier attempt asks for, dated `at`, unless it made it before; None without one."""
        return self._database.transact(lambda: self._judge_again(attempt, at))

    def rollback(self, model: str, alias: str, at: datetime, reason: str = "", actor: str = "") -> Promotion:
        """Go to the version before and bar the one left. Raises NotFound without an alias, Refused with nothing to go to."""
        return self._database.transact(lambda: self._rollback(model, alias, at, reason, actor))

    def rollback_to(self, model: str, alias: str) -> int | None:
        """The version that a rollback of an alias would go to; None where there is none."""
        return rollback_target(alias, self.history(model), self.barred(model)) if self.alias(model, alias) is not None else None

    def withdrawn(self, model: str) -> list[Withdrawal]:
        """Aliases of a model that were taken away, oldest first."""
        found = self._database.rows("promotions_withdrawn", model=model)
        return [Withdrawal(alias=row[0], version=row[1], actor=row[2], at=parse(row[3])) for row in found]

    def rolled_out(self, model: str) -> list[Promotion]:
        """The moves that try a version of a model now: a canary, a shadow, both or none."""
        return rolled_out(self.history(model))

    def named(self, model: str) -> dict[str, int]:
        """Today's aliases without a canary or shadow that is over: such an alias stays where the roll-out left it, and tries nothing."""
        ended = over(self.history(model))
        return {alias: number for alias, number in self.aliases(model).items() if alias not in ended}

    def undone(self, model: str) -> list[Promotion]:
        """What servers rolled back by themselves, of which the alias has not moved since."""
        return undone(self.history(model))

    def conclude(self, trial: Promotion, at: datetime, reason: str, *, promotes: bool) -> Promotion | None:
        """End a roll-out by what came of it: production moves to its version, or its alias goes back to production's, which bars it.

        None where it ended before: each ends once, however many servers say so.
        """
        return self._database.transact(lambda: self._conclude(trial, at, reason, promotes))

    def retreat(self, move: Promotion, at: datetime, reason: str) -> Promotion | None:
        """Undo the move that made production what it is, which bars its version; None where production moved since, or has nowhere to go.

        However many servers say so, it happens once.
        """
        return self._database.transact(lambda: self._retreat(move, at, reason))

    def _retreat(self, move: Promotion, at: datetime, reason: str) -> Promotion | None:
        moves = self.history(move.model, move.alias)
        if not moves or moves[-1] != move or self.rollback_to(move.model, move.alias) is None:
            return None
        return self._rollback(move.model, move.alias, at, reason, actor="")

    def _conclude(self, trial: Promotion, at: datetime, reason: str, promotes: bool) -> Promotion | None:
        if trial not in self.rolled_out(trial.model):
            return None
        if not promotes:
            return self._rollback(trial.model, trial.alias, at, reason, actor="")
        return self._promote(
            Promotion(model=trial.model, alias=PRODUCTION, version=trial.version, by="verdict", check=ROLL_OUT, reason=reason, at=at)
        )

    def _promote(self, promotion: Promotion) -> Promotion:
        there = self._database.one("version_by_number", artifact=promotion.model, number=promotion.version) is not None
        if not there or promotion.version in self.deleted(promotion.model):
            raise NotFound(f"there is no '{promotion.model}@{promotion.version}'", next=f"bedplate show {promotion.model}")
        if promotion.by == "verdict" and promotion.version in self.barred(promotion.model):
            raise Refused(
                f"{promotion.model}@{promotion.version} is barred",
                why="it was rolled back from",
                next=f"bedplate promote {promotion.model}@{promotion.version}",
            )
        if is_rolled_out(promotion):
            self._refuse_trial(promotion)
        values = rows.promotion_values(promotion)
        before = self.alias(promotion.model, promotion.alias)
        self._database.run("promotion_add", **{**values, "before": before})
        self._database.run("stamp_grow")
        write_events(self._database, [_moved(promotion, before)])
        return rows.replaced(promotion, before=before)

    def _refuse_trial(self, promotion: Promotion) -> None:
        """A version is tried beside another. Raises Refused where production is none, or the same."""
        ref, production = f"{promotion.model}@{promotion.version}", self.alias(promotion.model, PRODUCTION)
        if production is None:
            why = f"{promotion.model} has no production version to try it beside, and to go back to"
            raise Refused(f"{ref} cannot be rolled out", why=why, next=f"bedplate promote {ref}")
        if production == promotion.version:
            raise Refused(
                f"{ref} is in production already", why="there is nothing to try it beside", next=f"bedplate show {promotion.model}"
            )

    def _judge(self, verdict: Verdict, promotes: bool) -> Promotion | None:
        self._database.run("verdict_add", **rows.verdict_values(verdict))
        return self._follow(verdict, self.history(verdict.model)) if promotes else None

    def _judge_again(self, attempt: str, at: datetime | None) -> Promotion | None:
        row = self._database.one("verdict_of_attempt", attempt=attempt)
        if row is None:
            return None
        verdict = rows.verdict_of(row)
        history = self.history(verdict.model)
        if any(is_of(move, verdict) for move in history):
            return None
        return self._follow(msgspec.structs.replace(verdict, at=at or verdict.at), history)

    def _follow(self, verdict: Verdict, history: list[Promotion]) -> Promotion | None:
        if not (verdict.passed and verdict.promotes):
            return None
        current = next((move.version for move in reversed(history) if move.alias == verdict.promotes), None)
        decided = decide_promotion(verdict, current, barred_by(history) | self.deleted(verdict.model), history)
        return None if decided is None else self._promote(decided)

    def _rollback(self, model: str, alias: str, at: datetime, reason: str, actor: str) -> Promotion:
        history = self.history(model)
        current = self.alias(model, alias)
        if current is None:
            raise NotFound(f"nothing is '{model}@{alias}'", why="it was never promoted", next=f"bedplate show {model}")
        if alias in over(history):
            why = f"what was tried as {alias} is over, and {model}@{current} is not barred by that"
            raise Refused(f"no version of {model} is {alias} now", why=why, next=f"bedplate show {model}")
        if any(move.alias == alias for move in rolled_out(history)):
            target = self.alias(model, PRODUCTION)
        else:
            target = rollback_target(alias, history, self.barred(model))
        if target is None:
            came = [move.before for move in history if (move.alias, move.version) == (alias, current) and move.by != "rollback"]
            raise Refused(
                f"there is nothing to roll '{model}@{alias}' back to",
                why=f"those before {model}@{current} were rolled back from, too" if any(came) else f"{model}@{current} was the first",
                next=f"bedplate promote {model}@VERSION",
            )
        return self._promote(Promotion(model=model, alias=alias, version=target, by="rollback", reason=reason, actor=actor, at=at))


def _moved(promotion: Promotion, before: int | None) -> Event:
    """An alias moved: from which version, who or what moved it, and why."""
    kind = "model.rolled_back" if promotion.by == "rollback" else "model.promoted"
    data = {"alias": promotion.alias, "before": before, "by": promotion.by, "actor": promotion.actor, "reason": promotion.reason}
    return Event(kind=kind, subject=f"{promotion.model}@{promotion.version}", at=promotion.at, data=data)

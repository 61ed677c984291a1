"""Spending: a project's budget against what a plan should cost on a target with a price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.planner.forecasts.budget import standing
from bedplate.planner.forecasts.history import cost

from .plan import Planned


def within_budget(project: Project, planned: Sequence[Planned], price: float, catalog: Catalog, now: datetime) -> None:
    """Raises Refused where the project's budget does not allow the plan at `price` dollars an hour."""
    if project.budget is None:
        return
    costs = [cost(one.forecasts[0], price) for one in planned if one.action == "run" and one.forecasts]
    stands = standing(project.budget, catalog.runs.cost_since(now - timedelta(seconds=project.budget.period_s)), costs)
    if costs and stands.refusal:
        raise Refused(
            f"the budget of {project.name} does not allow this",
            why=stands.refusal,
            next="raise budget= in Project(...), or wait: bedplate sql 'select * from costs'",
        )

"""The one table of permissions: each action, the least role that may do it, and whether it changes something.

It is data: `decide` reads it, the gate refuses an action that is not in it, the reference page and the matrix of tests are made from it.
`account` as the least role means whoever has an account. `on` is what the action is about: an experiment (a project is one), a registered
model, or the server. An action that `writes` is denied to a token of role viewer even where any account may do it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal

from bedplate.core.records import Record

Role = Literal["account", "viewer", "contributor", "maintainer", "operator", "admin"]
On = Literal["experiment", "model", "server"]

ROLES: Final[MappingProxyType[str, str]] = MappingProxyType(
    {
        "viewer": "reads: runs, metrics, models, artifacts, traces",
        "contributor": "writes too: runs, artifacts, versions, tags",
        "maintainer": "deletes, promotes, and says who else may come in",
        "operator": "does what keeps the server going too: due work, services, webhooks, clean-up",
        "admin": "does everything, accounts and the audit log included",
    }
)
"""What may be granted, weakest first; each may do all that those before it may."""
RANK: Final[MappingProxyType[str, int]] = MappingProxyType({name: rank for rank, name in enumerate(("account", *ROLES))})


class Permission(Record, frozen=True, kw_only=False):
    """One row: an action, what it is about, the least role for it, whether it changes something, and what it is in words."""

    action: str
    on: On
    least: Role
    writes: bool
    what: str


TABLE: Final = (
    Permission("experiment.list", "server", "account", False, "find experiments and runs (only those that one may see)"),
    Permission("experiment.create", "server", "account", True, "make an experiment, and be its maintainer"),
    Permission("experiment.read", "experiment", "viewer", False, "read an experiment and its tags"),
    Permission("experiment.write", "experiment", "contributor", True, "rename an experiment, tag it"),
    Permission("experiment.delete", "experiment", "maintainer", True, "delete an experiment, bring it back"),
    Permission("experiment.grant", "experiment", "maintainer", True, "say who may do what with an experiment"),
    Permission("run.read", "experiment", "viewer", False, "read a run: parameters, metrics, tags, inputs"),
    Permission("run.write", "experiment", "contributor", True, "make a run, log to it, end it"),
    Permission("run.delete", "experiment", "maintainer", True, "delete a run, bring it back"),
    Permission("artifact.read", "experiment", "viewer", False, "list and download a run's files"),
    Permission("artifact.write", "experiment", "contributor", True, "upload files to a run that goes on"),
    Permission("artifact.delete", "experiment", "maintainer", True, "delete a run's files"),
    Permission("trace.read", "experiment", "viewer", False, "read traces"),
    Permission("trace.write", "experiment", "contributor", True, "log traces, tag them, judge them"),
    Permission("trace.delete", "experiment", "maintainer", True, "delete traces"),
    Permission("dataset.list", "server", "account", False, "find datasets of the experiments that one may see"),
    Permission("dataset.create", "server", "account", True, "make a dataset for evaluation; its maintainer, where it has no experiment"),
    Permission("dataset.read", "experiment", "viewer", False, "read what runs were trained on"),
    Permission("dataset.write", "experiment", "contributor", True, "make a dataset, add to it, tag it"),
    Permission("dataset.delete", "experiment", "maintainer", True, "delete a dataset"),
    Permission("model.list", "server", "account", False, "find registered models (only those that one may see)"),
    Permission("model.create", "server", "account", True, "register a model, and be its maintainer"),
    Permission("model.read", "model", "viewer", False, "read a registered model and its versions"),
    Permission("model.write", "model", "contributor", True, "make a version, describe and tag it"),
    Permission("model.promote", "model", "maintainer", True, "give an alias or a stage to a version, take it away"),
    Permission("model.delete", "model", "maintainer", True, "rename or delete a registered model or a version"),
    Permission("model.grant", "model", "maintainer", True, "say who may do what with a registered model"),
    Permission("service.read", "server", "viewer", False, "see what is served"),
    Permission("service.call", "server", "contributor", True, "ask a service for a prediction"),
    Permission("service.write", "server", "operator", True, "start and stop services"),
    Permission("project.run", "server", "operator", True, "run the project's steps here, cancel a run"),
    Permission("due.read", "server", "viewer", False, "see what is due"),
    Permission("due.run", "server", "operator", True, "do due work now"),
    Permission("size.ask", "server", "account", False, "ask what a workload takes"),
    Permission("metrics.read", "server", "viewer", False, "read the server's own metrics"),
    Permission("webhook.read", "server", "operator", False, "see who is told of what"),
    Permission("webhook.write", "server", "operator", True, "say who is told of what"),
    Permission("target.read", "server", "operator", False, "see where the record and the bytes of each target lie"),
    Permission("target.test", "server", "operator", True, "try a target out, examine the state"),
    Permission("gc.run", "server", "operator", True, "take away bytes that nothing refers to"),
    Permission("me.read", "server", "account", False, "see one's own account, tokens and grants"),
    Permission("me.write", "server", "account", True, "change one's own password, tokens and second factor"),
    Permission("account.read", "server", "admin", False, "see accounts"),
    Permission("account.write", "server", "admin", True, "make, change and end accounts, and grant over everything"),
    Permission("audit.read", "server", "admin", False, "read and verify the audit log, ask why"),
)
PERMISSIONS: Final[MappingProxyType[str, Permission]] = MappingProxyType({row.action: row for row in TABLE})


def least(first: str, second: str) -> str:
    """The weaker of two roles."""
    return min(first, second, key=RANK.__getitem__)


def greatest(first: str, second: str) -> str:
    """The stronger of two roles."""
    return max(first, second, key=RANK.__getitem__)

"""Settings: one table of name, default and help, from which the documentation is made.

A value is taken from `BEDPLATE_<NAME>`, else `[target.NAME]` of `bedplate.toml`, else the top level of `bedplate.toml`, else the default
here. `resolve` is pure; reading the file and the environment is assembly's work.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .errors import UserError


class Setting(msgspec.Struct, frozen=True):
    """One setting: its name, default (as text) and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("state", ".bedplate", "Folder of the state, relative to the project file."),
    Setting("catalog", "sqlite:///{state}/catalog.db", "Where the record is kept."),
    Setting("store", "file://{state}/store", "Where bytes and tables are kept."),
    Setting("online", "embedded", "Where online features are read."),
    Setting("compute", "local", "Where steps run: `local` (a fork server and its workers) or `inline` (this process)."),
    Setting("price", "0 USD/hour", "What an hour of this target costs."),
    Setting("cpu", "0", "Processors to use at once; 0 is all of this machine."),
    Setting("memory", "0 B", "Memory to use at once; 0 is all of this machine."),
    Setting("watts", "65 W", "Power of one busy machine where no meter is readable; energy from it is labelled `assumed`."),
    Setting("lease", "15 s", "How long a writer's lease holds without a sign of life."),
    Setting("log_limit", "10 MB", "How much of a step's output is kept; the rest is counted."),
    Setting("checkpoints", "3", "How many checkpoints of a training step are kept."),
    Setting("keep", "14 days", "How long unreferenced bytes are kept by `gc`."),
    Setting("drift_psi", "0.2", "Population stability index above which a column counts as drifted."),
    Setting("queue", "20000", "Predictions that may wait to be logged; more are counted and dropped."),
    Setting("body_limit", "16 MB", "Largest request body that a service reads."),
)


class Config(msgspec.Struct, frozen=True):
    """Resolved settings of one project on one target.

    `aside`: it is not the project's own target, but shares its catalog; what runs there makes side versions (invariant 8).
    """

    project_file: Path
    target: str
    values: dict[str, str]
    aside: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the project file."""
        return self.project_file.parent

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return (self.folder / self.values["state"]).resolve()

    def __getitem__(self, name: str) -> str:
        return self.values[name].replace("{state}", str(self.state))


def resolve(project_file: Path, file: Mapping[str, Any], environ: Mapping[str, str], target: str = "") -> Config:
    """Settings for a project: environment, then the target's table, then the file's top level, then defaults.

    Raises UserError for an unknown setting or target.
    """
    targets = file.get("target", {})
    own = str(file.get("default_target", "")) or "local"
    target = target or environ.get("BEDPLATE_TARGET", "") or own
    if target != "local" and target not in targets:
        raise UserError(
            f"no target '{target}' in bedplate.toml", why=f"known targets: {', '.join(['local', *targets])}", next="bedplate target list"
        )
    names = [setting.name for setting in SETTINGS]
    top = {k: v for k, v in file.items() if k not in ("target", "default_target")}
    chosen = targets.get(target, {})
    home = targets.get(own, {})
    for name in (*top, *chosen):
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise UserError(
                f"no setting '{name}'",
                why="bedplate.toml names it",
                next=f"did you mean '{near[0]}'?" if near else "see docs/reference/settings.md",
            )
    values = {s.name: environ.get(f"BEDPLATE_{s.name.upper()}", str(chosen.get(s.name, top.get(s.name, s.default)))) for s in SETTINGS}
    shared = all(chosen.get(name) == home.get(name) for name in ("state", "catalog"))
    return Config(project_file, target, values, aside=target != own and shared)

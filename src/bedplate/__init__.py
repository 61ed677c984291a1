"""bedplate: from raw files to a served and watched model, with a record that can be trusted.

The public names are loaded when they are first used, so that `import bedplate` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assembly import open as open
    from .assembly import size
    from .core.check import Check
    from .core.context import Context
    from .core.features import Features
    from .core.kinds import Pickle
    from .core.model import Model
    from .core.parameters import Secret, daily, hourly, tune, use
    from .core.project import Project
    from .core.samples import Samples
    from .core.sources import Files, Http, Package, Redis, Sql
    from .core.workload import Workload
    from .planner.asking.questions import Batch, Cost, Finetune, Limits, Serve, Site, Train

__version__ = "0.1.0"

_HOME = {
    "Batch": "planner.asking.questions",
    "Check": "core.check",
    "Context": "core.context",
    "Cost": "planner.asking.questions",
    "Features": "core.features",
    "Files": "core.sources",
    "Finetune": "planner.asking.questions",
    "Http": "core.sources",
    "Limits": "planner.asking.questions",
    "Model": "core.model",
    "Package": "core.sources",
    "Pickle": "core.kinds",
    "Project": "core.project",
    "Redis": "core.sources",
    "Samples": "core.samples",
    "Secret": "core.parameters",
    "Serve": "planner.asking.questions",
    "Site": "planner.asking.questions",
    "Sql": "core.sources",
    "Train": "planner.asking.questions",
    "Workload": "core.workload",
    "daily": "core.parameters",
    "hourly": "core.parameters",
    "open": "assembly",
    "size": "assembly",
    "tune": "core.parameters",
    "use": "core.parameters",
}

__all__ = [
    "Batch",
    "Check",
    "Context",
    "Cost",
    "Features",
    "Files",
    "Finetune",
    "Http",
    "Limits",
    "Model",
    "Package",
    "Pickle",
    "Project",
    "Redis",
    "Samples",
    "Secret",
    "Serve",
    "Site",
    "Sql",
    "Train",
    "Workload",
    "daily",
    "hourly",
    "size",
    "tune",
    "use",
]
"""What a star import gives: not `open`, which would hide Python's own. `bedplate.open` is public all the same."""


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'bedplate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "open"])

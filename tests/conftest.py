"""What all tests share: the real servers that scripts/services unpacked are on the path, and no setting leaks in from outside."""

from __future__ import annotations

import os
from pathlib import Path

pytest_plugins = ["real_servers", "redis_process", "mlflow_clients", "trackers", "browser"]
SERVICES = Path(__file__).parents[1] / ".venv" / "services" / "usr" / "bin"


def pytest_configure() -> None:
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), str(SERVICES)])
    for name in [name for name in os.environ if name.startswith("BEDPLATE_")]:
        del os.environ[name]

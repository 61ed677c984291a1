"""MLServer with its own LightGBM runtime, in one process: `serving_mlserver.py MODEL PORT`."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path


def free() -> int:
    """A port that nobody has."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    model = {"name": "trees", "implementation": "mlserver_lightgbm.LightGBMModel", "parameters": {"uri": sys.argv[1]}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    ports = {"http_port": int(sys.argv[2]), "grpc_port": free(), "metrics_port": free()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}))
    command = str(Path(sys.executable).with_name("mlserver"))
    os.execv(command, [command, "start", str(folder)])

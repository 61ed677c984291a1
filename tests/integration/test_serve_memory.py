"""What a server has in memory: libraries that answering and logging do without are not loaded, by the first of them or the second."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Final

PROJECT: Final = '''
import sys

from bedplate import Project

served = Project("served")


@served.service
def loaded() -> list[str]:
    """The packages that this process has loaded."""
    return sorted({name.partition(".")[0] for name in sys.modules})
'''
DONE_WITHOUT: Final = {
    "arro3", "cryptography", "deltalake", "duckdb", "grpc", "lark", "lightgbm", "obstore", "onnxruntime", "pandas", "pyarrow", "scipy",
    "sklearn", "sqlalchemy", "torch", "xgboost",
}  # fmt: skip
"""Each is five to fifty megabytes of a server that has no use for it."""


def test_a_server_that_answers_and_logs_has_loaded_what_it_needs(tmp_path: Path) -> None:
    """Asked by the server's own service, before its first answer is logged and after."""
    (tmp_path / "served.py").write_text(PROJECT)
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            url = json.loads(running.stdout.readline())["url"]
            assert not DONE_WITHOUT & asked(url)
            until = time.monotonic() + 30
            while not list(tmp_path.glob(".bedplate/store/logs/predictions/loaded/_delta_log/*.json")):
                assert time.monotonic() < until, "the answer was not logged"
                time.sleep(0.05)
            after = asked(url)
        finally:
            running.terminate()
    assert "polars" in after
    assert not DONE_WITHOUT & after


def asked(url: str) -> set[str]:
    request = urllib.request.Request(f"{url}/loaded", data=b"{}", headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return set(json.load(answer)["result"])

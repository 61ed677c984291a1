"""A storm of signals at any moment of a loop, its start among them: it ends once, and what it left is taken up."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bedplate

PROJECT = """
import time
from bedplate import Project

slow = Project("slow")

@slow.step(every="1 s")
def work() -> float:
    time.sleep(0.5)
    return time.time()
"""
MOMENTS_S = (0.0, 0.1, 0.3, 0.6, 1.0, 1.4, 1.8)


@pytest.mark.slow
def test_it_ends_cleanly_whenever_it_is_told_to_and_however_often(tmp_path: Path) -> None:
    """SIGTERM, SIGINT and SIGHUP three times over: gone within seconds, no traceback, and the next look goes on."""
    (tmp_path / "slow.py").write_text(PROJECT)
    (tmp_path / "bedplate.toml").write_text('lease = "1 s"\nlook = "1 s"\n')
    for moment in MOMENTS_S:
        typed = [sys.executable, "-m", "bedplate", "run", "--due", "--loop"]
        with subprocess.Popen(typed, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as loop:
            time.sleep(moment)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) * 3:
                if loop.poll() is None:
                    loop.send_signal(number)
            try:
                said, _ = loop.communicate(timeout=60)
            finally:
                loop.kill()
        assert loop.returncode in (0, 130, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP), said
        assert loop.returncode < 0 or "Traceback" not in said
    time.sleep(1.5)
    done = subprocess.run([sys.executable, "-m", "bedplate", "run", "--due"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    catalog = bedplate.open(tmp_path).catalog
    assert catalog.due.running() == []
    assert catalog.database.faults() == []
    assert {one.status for one in catalog.due.newest(1000)} <= {"done", "missed", "overlapped"}
    assert catalog.leases.held() == []

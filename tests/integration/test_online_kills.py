"""F01, F02: whoever publishes online features is killed at any moment; a version is there whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedplate.storage.backends import online_lmdb, online_sqlite

PUBLISHER = """
import sys
from pathlib import Path

from bedplate.storage.backends import {backend}

store = {backend}.open_folder(Path(sys.argv[1]))
print("begun", flush=True)
for version in range(1, 1000):
    store.publish("f", str(version), ((b"%d" % at, b"%d" % version) for at in range(20_000)))
    print(version, flush=True)
"""
KEYS = [b"%d" % at for at in range(0, 20_000, 331)]


@pytest.mark.parametrize("backend", [online_lmdb, online_sqlite])
def test_a_publisher_killed_at_any_moment_leaves_whole_versions(backend: object, tmp_path: Path) -> None:
    """Twelve kills at moments spread over a publication: what was acknowledged is there, nothing is half there, no lock stays."""
    name = str(getattr(backend, "__name__", "")).rpartition(".")[2]
    open_folder = {"online_lmdb": online_lmdb.open_folder, "online_sqlite": online_sqlite.open_folder}[name]
    halves = 0
    for kill in range(12):
        folder = tmp_path / str(kill)
        words = [sys.executable, "-c", PUBLISHER.format(backend=name), str(folder)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.01 + 0.017 * kill)
            process.kill()
            acknowledged = [int(line) for line in process.stdout.read().splitlines()]
        store = open_folder(folder)
        newest = max(acknowledged, default=0)
        for version in range(max(newest - 2, 1), newest + 2):
            if not store.has("f", str(version)):
                assert version not in acknowledged[-2:]  # three are kept: one more may be there that nobody was told of
                halves += 1
                continue
            assert store.get("f", str(version), KEYS) == [b"%d" % version] * len(KEYS)
        store.publish("f", "again", [(b"a", b"1")])
        assert store.get("f", "again", [b"a"]) == [b"1"]
        store.close()
    assert halves, "no kill came while a version was written"

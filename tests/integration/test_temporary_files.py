"""What `bedplate up` and the verbs about accounts leave where others could reach it: watched by the kernel's own eyes (case SY-02)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CREATED = re.compile(r'open(?:at)?\((?:AT_FDCWD, )?"([^"]+)", ([A-Z_|]*O_CREAT[A-Z_|]*)(?:, (0\d+))?\) = \d+')


def created(log: Path, under: Path) -> list[tuple[str, str, int]]:
    """Every file that was made under a folder: its path, how it was opened, its mode."""
    found = [CREATED.search(line) for line in log.read_text(errors="replace").splitlines()]
    return [(one[1], one[2], int(one[3] or "0", 8)) for one in found if one is not None and one[1].startswith(str(under))]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_nothing_predictable_or_open_to_others_is_made_where_everybody_writes(tmp_path: Path) -> None:
    """Each file under TMPDIR is made with O_EXCL and for its owner alone; the rest lies in a folder of its owner alone."""
    shared, folder = tmp_path / "shared", tmp_path / "here"
    shared.mkdir(mode=0o777)
    folder.mkdir()
    environ = {**os.environ, "TMPDIR": str(shared), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    trace = ["strace", "-f", "-qq", "-e", "trace=open,openat", "-o"]
    bedplate = [sys.executable, "-m", "bedplate"]
    command = [*trace, str(tmp_path / "up.log"), *bedplate, "up", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, umask=0, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith('{"url"')
        verb = [*trace, str(tmp_path / "verb.log"), *bedplate, "account", "add", "ann"]
        subprocess.run(verb, cwd=folder, env=environ, check=True, umask=0, stdout=subprocess.DEVNULL)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    logs = [tmp_path / "up.log", tmp_path / "verb.log"]
    there = [one for log in logs for one in created(log, shared)]
    assert [one for one in there if "O_EXCL" not in one[1] or one[2] & 0o077] == []
    assert [one for log in logs for one in created(log, folder) if not one[0].startswith(str(folder / ".bedplate"))] == []
    assert (folder / ".bedplate").stat().st_mode & 0o077 == 0
    keys = [one for log in logs for one in created(log, folder / ".bedplate" / "keys")]
    assert keys
    assert [one for one in keys if "O_EXCL" not in one[1] or "O_NOFOLLOW" not in one[1] or one[2] & 0o077] == []

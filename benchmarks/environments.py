"""Environments of the peers: one each under `.venv/bench/`, made from `peers/NAME.txt` (pinned) when it is first needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PLACE = ROOT / ".venv" / "bench"


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or its list has changed.

    Raises subprocess.CalledProcessError where it cannot be installed.
    """
    wanted = HERE / "peers" / f"{peer}.txt"
    folder, mark = PLACE / peer, PLACE / f".{peer}"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if mark.is_file() and mark.read_text() == digest and python.exists():
        return python
    PLACE.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        folder.unlink()  # `--clear` would empty what it leads to
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", wanted]
    subprocess.run(pip, check=True)
    mark.write_text(digest)
    return python


def size_of(environment: Path) -> tuple[int, int]:
    """Bytes on disk of an environment's packages without pip and setuptools, and how many distributions they are."""
    packages = next((environment / "lib").glob("python3*/site-packages"))
    tools = ("pip", "setuptools", "wheel")
    found = [path for path in packages.rglob("*") if path.is_file() and not path.relative_to(packages).parts[0].startswith(tools)]
    distributions = [p for p in packages.glob("*.dist-info") if not p.name.startswith(tools)]
    return sum(path.stat().st_size for path in found if path.suffix != ".pyc"), len(distributions)

"""A Python as a bundle meets it at the edge: the packages of its list of requirements and no other, and no network but this machine's."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import bedplate

OFFLINE = """
import socket

def refused(self, address):
    if address[0] != "127.0.0.1":
        raise OSError("there is no network")
    return connect(self, address)

connect, socket.socket.connect = socket.socket.connect, refused
socket.getaddrinfo = lambda host, port, *rest: [(2, 1, 6, "", (host, int(port)))]
"""


def bare_python(requirements: Path, place: Path) -> Path:
    """The interpreter of a new virtual environment in `place`; its packages are those installed here, in the versions asked for."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    site = next(place.glob("lib/python*/site-packages"))
    for line in requirements.read_text().splitlines():
        name, _, version = line.partition("==")
        found = importlib.metadata.distribution(name)
        assert found.version == version
        tops = {file.parts[0] for file in found.files or () if re.match(r"[A-Za-z0-9_]", file.parts[0])}
        for top in () if name == "bedplate" else tops:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
        if name == "bedplate" and not (site / name).exists():  # here it is editable: where its source lies, a wheel would have put it
            (site / name).symlink_to(Path(bedplate.__file__).parent)
    (site / "sitecustomize.py").write_text(OFFLINE)
    return place / "bin" / "python"

"""The first process of the image: on a new volume it brings the record, then it becomes `bedplate serve`.

What is served is in image.json, never in a command line that a shell would read. Settings come from the environment first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Restore where nothing was, then serve."""
    about = json.loads((HERE / "image.json").read_text(encoding="utf-8"))
    for name, value in about["settings"].items():
        os.environ.setdefault(name, value)
    project = str(HERE / "project" / about["project"])
    mark = Path(os.environ["BEDPLATE_STATE"]) / ".restored"
    if (HERE / "record").is_dir() and not mark.exists():
        subprocess.run([sys.executable, "-m", "bedplate", "restore", str(HERE / "record"), "--project", project], check=True)
        mark.touch()
    words = ["serve", *about["services"], "--project", project, "--port", str(about["port"]), "--json"]
    os.execv(sys.executable, [sys.executable, "-m", "bedplate", *words])


if __name__ == "__main__":
    main()

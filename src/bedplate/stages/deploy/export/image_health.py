"""Whether the server in this container is ready; with `live`, whether it answers at all. Exit code 0 or 1."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

port = json.loads(Path(__file__).with_name("image.json").read_text(encoding="utf-8"))["port"]
what = "live" if sys.argv[1:] == ["live"] else "ready"
try:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/{what}", timeout=4) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except (urllib.error.URLError, OSError) as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(1)

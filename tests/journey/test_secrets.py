"""A secret that a step prints is in no file that bedplate keeps, and in nothing that it says."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

TOKEN = "hush-4711-äß"
PROJECT = """
import base64, os, subprocess, sys
from bedplate import Context, Project, Secret

week = Project("week")

@week.step
def told(api_token: Secret, context: Context) -> int:
    text = api_token.reveal()
    print("plain", text, repr(text))
    os.write(2, b"half " + text.encode()[:5])
    os.write(2, text.encode()[5:] + b"\\n")
    subprocess.run([sys.executable, "-c", "import os; print('child', os.environ['API_TOKEN'])"], check=True)
    print(base64.b64encode(text.encode()).decode())
    context.tag("token", text)
    return len(text)
"""


def test_a_printed_secret_is_masked_in_the_log_whoever_printed_it(person: Callable[..., Any], tmp_path: Path) -> None:
    """By Python, by bytes in two pieces, by a child process, encoded, and as a tag."""
    someone = type(person("week"))(tmp_path)
    (tmp_path / "week.py").write_text(dedent(PROJECT))
    env = {**os.environ, "API_TOKEN": TOKEN}
    ran = someone.types("run", env=env)
    log = someone.types("logs", "told", env=env).stdout
    assert sorted(log.split("\n")) == sorted(["plain **** '****'", "half ****", "child ****", "****=", ""])
    written = b"".join(path.read_bytes() for path in (tmp_path / ".bedplate").rglob("*") if path.is_file())
    shown = (ran.stdout + ran.stderr + someone.types("show", "told", env=env).stdout).encode()
    for secret in (TOKEN.encode(), base64.b64encode(TOKEN.encode()).rstrip(b"=")):
        assert secret not in written + shown

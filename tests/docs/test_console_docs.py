"""What the documentation says of the console is true: every page of its navigation is described, and every address in it is one."""

from __future__ import annotations

import re
from pathlib import Path

from bedplate.interfaces.http.console.frame import NAVIGATION
from bedplate.interfaces.http.up.table import endpoints

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-the-console.md"
ROW = re.compile(r"^\| ([^|]+) \| `(/[a-z]*)` \| (.+) \|$", re.MULTILINE)


def test_every_page_of_the_navigation_is_described() -> None:
    """In its order, by its name and address, in a sentence or more; and none that there is not."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert [(name, path) for name, path, _ in rows] == [(name, path) for _, path, name in NAVIGATION]
    assert all(said.endswith(".") for _, _, said in rows)


def test_every_page_of_the_navigation_is_answered() -> None:
    """The table of routes has a row for each of its addresses."""
    answered = {one.path for one in endpoints() if one.method == "GET"}
    assert [path for _, path, _ in NAVIGATION if path not in answered] == []

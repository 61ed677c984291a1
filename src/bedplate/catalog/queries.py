"""Named queries: SQL kept in files, read once, called by name.

The files are in aiosql's format (`-- name: heads`, then a comment that says what it gives, then the SQL), so its tools and its
readers know them. We read it ourselves because importing aiosql costs 78 ms of CPU, most of the start of a command; this costs
about one. `^` marks one row, `$` one value, `!` a change, `*!` many changes; parameters are written `:name`.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Literal

import msgspec

from bedplate.core.errors import InternalError

Operation = Literal["", "^", "$", "!", "*!"]
_NAME = re.compile(r"^-- name: (\w+)(\^|\$|\*!|!)?[ \t]*\n", re.MULTILINE)
FOLDER = Path(__file__).parent / "sql"


class Query(msgspec.Struct, frozen=True):
    """One query: its name, what it gives (rows, one row, one value, changes), what it is for, its SQL."""

    name: str
    operation: str
    purpose: str
    sql: str


@functools.cache
def load_queries(folder: Path = FOLDER) -> dict[str, Query]:
    """Every query of every `.sql` file in a folder, by name; read once. Raises InternalError where one has no purpose or is there twice."""
    found: dict[str, Query] = {}
    for file in sorted(folder.glob("*.sql")):
        pieces = _NAME.split(file.read_text(encoding="utf-8"))[1:]
        for name, operation, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
            lines = body.strip().splitlines()
            purpose = " ".join(line[3:] for line in lines if line.startswith("-- "))
            sql = "\n".join(line for line in lines if not line.startswith("--"))
            if not purpose or name in found:
                raise InternalError(f"{file.name}: query '{name}' has no purpose line or is there twice")
            found[name] = Query(name, operation or "", purpose, sql)
    return found

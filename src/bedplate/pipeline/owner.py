"""Whose state it is: the project that runs there is remembered, so that a second one does not overwrite its heads unseen.

Limits: a project is told from another by its name and its file; two of one name are taken for one that was moved. On a database server,
whose other users' files cannot be seen from here, another name is always another project.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import Refused
from bedplate.core.records import Event

_KIND = "project.named"


def check_owner(catalog: Catalog, project: str, file: Path) -> None:
    """Raises Refused where another project's file, which is still there, keeps its state here."""
    known = catalog.events.last(_KIND)
    if known is None or known.subject == project:
        return
    other = Path(str(known.data.get("file", "")))
    if "://" in catalog.database.location:
        raise Refused(
            f"the record at {catalog.database.location} is that of project '{known.subject}'",
            why=f"'{project}' would overwrite the heads of what has the same name there",
            next=f'give it a schema of its own: catalog = "postgresql://.../DATABASE?schema={project}"',
        )
    if other != file and other.is_file():
        raise Refused(
            f"the state at {Path(catalog.database.location).parent} is that of project '{known.subject}' ({other.name})",
            why=f"'{project}' would overwrite the heads of what has the same name there",
            next=f"move {file.name} to a folder of its own, or give it a state of its own: BEDPLATE_STATE=.bedplate-{file.stem}",
        )


def take(catalog: Catalog, project: str, file: Path, at: datetime) -> None:
    """Remember the project that runs here, where it is new, or was renamed or moved."""
    known = catalog.events.last(_KIND)
    if known is None or (known.subject, known.data.get("file")) != (project, str(file)):
        catalog.events.add(Event(kind=_KIND, subject=project, at=at, data={"file": str(file)}))

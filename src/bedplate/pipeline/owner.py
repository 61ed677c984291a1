"""Whose state it is: the project that runs there is remembered, so that a second one does not overwrite its heads unseen.

A state may have no project: what `bedplate up` made for clients alone. And one may be looked at where its project is not: `without_project`
stands for it then, and has no steps.

Limits: a project is told from another by its name and its file; two of one name are taken for one that was moved. On a database server,
whose other users' files cannot be seen from here, another name is always another project.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from types import ModuleType

from bedplate.catalog.catalog import Catalog
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.core.records import Event
from bedplate.storage.blobs import Blobs
from bedplate.storage.store import TRAVELS, Store

from .code.load import Loaded

NO_PROJECT = "no project"
"""What stands for the name of a state's project where none ran there."""
_KIND = "project.named"
_LOOKS = 20


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


def without_project(catalog: Catalog, file: Path) -> Loaded:
    """What stands for a project that is not here: it declares nothing, and has the name of the one that ran there. `file` need not be."""
    known = catalog.events.last(_KIND)
    return Loaded(project=Project(NO_PROJECT if known is None else known.subject), file=file, module=ModuleType("nothing"))


def is_empty(catalog: Catalog) -> bool:
    """Whether nobody ever used this record: no account was made, no run recorded, no artifact named."""
    return not (catalog.accounts.count() or catalog.runs.last(1) or catalog.artifacts.names())


def check_bytes(catalog: Catalog, store: Store) -> None:
    """Raises Refused where a store has bytes, and none of the first that the record names: it is that of another record.

    To collect there what this record does not name would be to take all that the other one has.
    """
    versions = (key for version in catalog.artifacts.referenced() for key in store.needs(version))
    files = (Blobs.relative(digest) for digest in catalog.kept_files())
    named = (*islice(versions, _LOOKS), *islice(files, _LOOKS))
    has_bytes = any(next(iter(store.objects.list(place)), None) for place in TRAVELS)
    if has_bytes and all(store.objects.size(key) is None for key in named):
        raise Refused(
            f"nothing that the record at {catalog.database.location} names lies in {store.objects.url}",
            why="it is the store of another record, whose bytes would all go",
            next="name both: --state and --store (bedplate doctor says what is gone)",
        )

"""`bedplate backup DEST` and `bedplate restore SRC`: a folder or a bucket's address."""

from __future__ import annotations

from rich.markup import escape

from bedplate.assembly import open_database
from bedplate.core.errors import WorldError
from bedplate.core.units import show_bytes
from bedplate.pipeline import backup
from bedplate.pipeline.code.load import declared_name
from bedplate.pipeline.owner import NO_PROJECT
from bedplate.storage.bucket import Bucket
from bedplate.storage.places import bucket_at, folder_at, objects_at

from .common import console, put_json
from .paths import near
from .platform import at_a_state, configured, workspace
from .verb import Asked, tried, verb


@verb("DEST", least=1, most=1, places=1)
@at_a_state
def command(asked: Asked, state: str, store: str) -> int:
    """Copy the record, as it is at one moment, and every byte that it names, to a folder or bucket; runs and servers go on meanwhile."""
    project = workspace(asked, state, store, makes=False)
    made = backup.back_up(project.catalog, project.store, objects_at(asked.names[0]), project.graph.project_name, project.clock.now())
    if asked.as_json:
        put_json(made)
    else:
        out = console()
        out.print(f"{made.versions} versions, {made.objects} objects ({show_bytes(made.bytes)}), {made.copied} of them new")
        out.print(f"restore it in an empty place: bedplate restore {escape(near(asked.names[0]))}", soft_wrap=True)
        for key in made.gone:
            out.print(f"[bold red]gone[/bold red] {escape(key)}: the record names it and the store has lost it; bedplate doctor")
    return WorldError.exit_code if made.gone else 0


@verb("SRC", least=1, most=1, places=1)
@at_a_state
def restore(asked: Asked, state: str, store: str) -> int:
    """Bring a backup of this project onto a target whose record and store are empty; killed half-way, it is simply asked for again.

    A backup of what only clients logged needs no project, nor does one that is brought to a place named by --state.
    """
    config, file, _ = configured(asked.project, asked.target, state, store)
    project = declared_name(file) if file is not None else "" if state else NO_PROJECT

    def objects() -> Bucket:
        return bucket_at(config["store"]) or objects_at(str(folder_at(config["store"])))

    made = backup.restore(objects_at(asked.names[0]), lambda: open_database(config), objects, project)
    if asked.as_json:
        put_json(made)
    else:
        out = console()
        out.print(f"{made.project} as of {made.at:%Y-%m-%d %H:%M:%S} UTC: {made.versions} versions, {made.objects} objects")
        at = "".join(f" {name} {value}" for name, value in (("--state", state), ("--store", store)) if value)
        out.print(f"see that all is well: {tried('bedplate doctor --deep', asked.target)}{escape(at)}", soft_wrap=True)
    return 0

"""`bedplate backup DEST` and `bedplate restore SRC`: a folder or a bucket's address."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from bedplate.assembly import configure, open_database
from bedplate.core.errors import WorldError
from bedplate.core.units import show_bytes
from bedplate.pipeline import backup
from bedplate.pipeline.code.load import declared_name, find_project
from bedplate.storage.bucket import Bucket
from bedplate.storage.places import bucket_at, folder_at, objects_at

from .common import console, put_json
from .paths import near
from .verb import Asked, tried, verb


@verb("DEST", least=1, most=1, places=1)
def command(asked: Asked) -> int:
    """Copy the record, as it is at one moment, and every byte that it names, to a folder or bucket; runs and servers go on meanwhile."""
    project = asked.look()
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
def restore(asked: Asked) -> int:
    """Bring a backup of this project onto a target whose record and store are empty; killed half-way, it is simply asked for again."""
    file = find_project(Path.cwd(), asked.project)
    config = configure(file, asked.target)

    def objects() -> Bucket:
        return bucket_at(config["store"]) or objects_at(str(folder_at(config["store"])))

    made = backup.restore(objects_at(asked.names[0]), lambda: open_database(config), objects, declared_name(file))
    if asked.as_json:
        put_json(made)
    else:
        out = console()
        out.print(f"{made.project} as of {made.at:%Y-%m-%d %H:%M:%S} UTC: {made.versions} versions, {made.objects} objects")
        out.print(f"see that all is well: {tried('bedplate doctor --deep', asked.target)}")
    return 0

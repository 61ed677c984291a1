"""`bedplate import`: bring a model that was made elsewhere, or all that another tracker holds."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from bedplate.core.errors import UserError
from bedplate.pipeline.moving.bring import Move
from bedplate.pipeline.moving.moved import Moved
from bedplate.pipeline.moving.opening import open_source
from bedplate.stages.train.bring import bring
from bedplate.storage.far import is_address
from bedplate.storage.foreign import Foreign

from .common import console, put_json, table, told
from .platform import stand
from .verb import Asked, typed, verb


@verb()
@click.argument("what", type=click.Choice(["model", "mlflow"]))
@click.argument("source", metavar="FILE|URL")
@click.option("--as", "name", default="", metavar="NAME", help="The model of the project that FILE becomes a version of.")
@click.option("--example", type=click.Path(path_type=Path), help="A table of its inputs, in their order (else those of NAME's head).")
@click.option("--class", "of", default="", metavar="MODULE:CLASS", help="The PyTorch class that a .safetensors file holds the weights of.")
@click.option("--arguments", default="{}", metavar="JSON", help="What that class is made with.")
@click.option("--files", multiple=True, type=click.Path(path_type=Path), help="A folder that files of an MLflow tracker may lie in, too.")
@click.option("--state", default="", metavar="URL", help="The record that a tracker is brought into: as of `bedplate up`.")
@click.option("--store", default="", metavar="URL", help="Its bytes: as of `bedplate up`.")
def command(
    asked: Asked, what: str, source: str, name: str, example: Path | None, of: str, arguments: str, files: tuple[Path, ...],
    state: str, store: str,
) -> int:  # fmt: skip
    """Keep the model in FILE as a version of NAME, with origin `imported`; `bedplate promote` puts it into service.

    FILE is .onnx, a LightGBM .txt, an XGBoost .ubj or .json, .skops, a PyTorch .pt2, or .safetensors with --class. Nothing is unpickled.
    A URL, as http://triton:8000/v2/models/late or grpc://triton:8001/late, is a model that another server has: it stays there, and is
    asked there.

    `import mlflow URL` brings over all that an MLflow tracker holds: URL is its `mlruns` folder, its SQLite file, or the address of its
    server. What was brought is not brought twice: a second import adds what is new, and one that was killed goes on.
    """
    if what == "mlflow":
        return _tracker(asked, source, files, state, store)
    if not name:
        raise UserError("the model has no name", why="it becomes a version of one", next=f"bedplate import model {source} --as NAME")
    workspace = asked.open()
    is_remote = is_address(source)
    foreign = Foreign(url=source) if is_remote else Foreign(path=Path(source), of=of, arguments=_arguments(arguments))
    version = bring(workspace, name, foreign, example=_frame(example), command=typed())
    if asked.as_json:
        put_json(told(version))
    else:
        out, whence = console(), escape(f"at {source}" if is_remote else f"in {foreign.path.name}")
        out.print(f"[bold]{version.ref}[/bold] is the {version.meta['flavour']} model {whence}")
        out.print(f"next: [bold]bedplate promote {version.ref}[/bold]", soft_wrap=True)
    return 0


def _tracker(asked: Asked, uri: str, files: tuple[Path, ...], state: str, store: str) -> int:
    """Bring a tracker over and say what came; 1 where something of it did not."""
    standing = stand(asked.project, asked.target, state=state, store=store)
    source = open_source(uri, files, standing.clock, standing.config["allow_networks"], os.environ)
    out = console()
    tell = (lambda _line: None) if asked.as_json else out.print
    moved = Moved(source, standing.catalog, standing.store(), standing.clock.now)
    arrived = Move(moved, standing.random_bits, tell).all()
    if asked.as_json:
        put_json(arrived)
        return 0 if arrived.is_whole else 1
    drawn = table("what", "#there", "#new")
    for kind, many in arrived.there.items():
        drawn.add_row(kind.replace("_", " "), f"{many:,}", f"{arrived.new[kind]:,}")
    out.print(drawn)
    for trouble in arrived.troubles:
        out.print(f"[yellow]![/yellow] {escape(trouble)}", soft_wrap=True)
    out.print("all of it is here, compared with its source" if arrived.is_whole else "the rest is here, compared with its source")
    return 0 if arrived.is_whole else 1


def _frame(path: Path | None) -> Any:
    if path is None:
        return None
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    return importlib.import_module("bedplate.stages.ingest.backends.frames").frame([path])


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError("--arguments is no JSON", why=str(error), next="--arguments '{\"hidden\": 8}'") from None
    if not isinstance(found, dict):
        raise UserError("--arguments is no mapping", next="--arguments '{\"hidden\": 8}'")
    return found

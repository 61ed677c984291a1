"""`bedplate import`: bring a model that was made elsewhere."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import click

from bedplate.core.errors import UserError
from bedplate.stages.train.bring import bring
from bedplate.storage.foreign import Foreign

from .common import console, put_json, told
from .verb import Asked, typed, verb


@verb()
@click.argument("what", type=click.Choice(["model"]))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", required=True, metavar="NAME", help="The model of the project that it becomes a version of.")
@click.option("--example", type=click.Path(path_type=Path), help="A table of its inputs, in their order (else those of NAME's head).")
@click.option("--class", "of", default="", metavar="MODULE:CLASS", help="The PyTorch class that a .safetensors file holds the weights of.")
@click.option("--arguments", default="{}", metavar="JSON", help="What that class is made with.")
def command(asked: Asked, what: str, file: Path, name: str, example: Path | None, of: str, arguments: str) -> int:
    """Keep the model in FILE as a version of NAME, with origin `imported`; `bedplate promote` puts it into service.

    FILE is .onnx, a LightGBM .txt, an XGBoost .ubj or .json, .skops, a PyTorch .pt2, or .safetensors with --class. Nothing is unpickled.
    """
    workspace = asked.open()
    foreign = Foreign(path=file, of=of, arguments=_arguments(arguments))
    version = bring(workspace, name, foreign, example=_frame(example), command=typed())
    if asked.as_json:
        put_json(told(version))
    else:
        out = console()
        out.print(f"[bold]{version.ref}[/bold] is the {version.meta['flavour']} model in {file.name}")
        out.print(f"next: [bold]bedplate promote {version.ref}[/bold]", soft_wrap=True)
    return 0


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

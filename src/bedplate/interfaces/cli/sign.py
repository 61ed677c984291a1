"""`bedplate sign` and `bedplate verify`: a model version as files that others can trust."""

from __future__ import annotations

from pathlib import Path

import click

from bedplate.core.errors import CorruptError
from bedplate.pipeline.signed import check_signed, is_version, write_signed

from .common import console, put_json
from .platform import stand
from .verb import Asked, verb

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@verb("MODEL@VERSION", least=1, most=1)
@click.option("--key", required=True, type=_FILE, help="A private key (PEM, elliptic curve), without a password.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the files and `model.sig`.")
@click.option("--state", default="", metavar="URL", help="The record, where it is not the project's: as of `bedplate up`.")
@click.option("--store", default="", metavar="URL", help="Its bytes: as of `bedplate up`.")
def command(asked: Asked, key: Path, out: Path, state: str, store: str) -> int:
    """Write the files of MODEL@VERSION into a folder and sign them, in the open form that `model_signing verify key` reads."""
    standing = stand(asked.project, asked.target, state=state, store=store)
    version = standing.catalog.artifacts.get(asked.names[0])
    signature = write_signed(standing.store(), version, key, out)
    if asked.as_json:
        put_json({"version": version.ref, "folder": str(out), "signature": str(signature)})
    else:
        console().print(f"[bold]{version.ref}[/bold] is in {out}, signed in {signature.name}", soft_wrap=True)
        console().print(f"next: [bold]bedplate verify {out} --key PUBLIC.pem[/bold]", soft_wrap=True)
    return 0


@verb("FOLDER", least=1, most=1, places=1)
@click.option("--key", required=True, type=_FILE, help="The public key (PEM).")
@click.option("--signature", type=_FILE, help="The signature, where it is not FOLDER/model.sig.")
@click.option("--is", "ref", default="", metavar="MODEL@VERSION", help="Whether the files are those of this version, too.")
@click.option("--state", default="", metavar="URL", help="The record that --is asks, where it is not the project's.")
def verify(asked: Asked, key: Path, signature: Path | None, ref: str, state: str) -> int:
    """Say whether the files in FOLDER are what was signed with the other half of a key."""
    folder = Path(asked.names[0])
    check_signed(folder, key, signature)
    if ref:
        version = stand(asked.project, asked.target, state=state).catalog.artifacts.get(ref)
        if not is_version(version, folder):
            raise CorruptError(f"{folder} is signed, and is not {version.ref}", why="its files are others than the record has")
    if asked.as_json:
        put_json({"folder": str(folder), "verified": True, "version": ref})
    else:
        console().print(f"{folder} is what was signed" + (f", and is [bold]{ref}[/bold]" if ref else ""), soft_wrap=True)
    return 0

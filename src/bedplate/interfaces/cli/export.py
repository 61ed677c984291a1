"""`bedplate export`: what is served here, as others run it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from bedplate.assembly import OpenProject
from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.pipeline.signed import sign_folder
from bedplate.stages.deploy.export import docker, edge, kserve, kubernetes, triton
from bedplate.stages.deploy.export.function import Carried, carried
from bedplate.stages.deploy.export.subject import Subject, subject
from bedplate.stages.deploy.export.workload import Workload, workload
from bedplate.stages.deploy.export.written import files, whole

from .common import console, put_json
from .verb import Asked, verb

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class Wish(Record, frozen=True, kw_only=True):
    """What was asked besides a form and a name: the key to sign with; the other name, image and replicas."""

    key: Path | None = None
    unsigned: bool = False
    name: str = ""
    image: str = ""
    replicas: tuple[int, int] = (2, 10)


class Made(Record, frozen=True, kw_only=True):
    """What was written: the folder and its files, the versions, what a reader has to know, and what to type there."""

    form: str = ""
    folder: str = ""
    name: str = ""
    models: dict[str, str] = msgspec.field(default_factory=dict)
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    signature: str = ""
    notes: tuple[str, ...] = ()
    next: str = ""


@verb("FORM NAME", least=2, most=2)
@click.option("--to", type=click.Path(path_type=Path), help="A new folder for it (default: NAME-FORM, here).")
@click.option("--as", "called", default="", metavar="NAME", help="kubernetes, kserve, triton: the name there.")
@click.option("--image", default="", metavar="IMAGE", help="kubernetes, kserve: the image that `docker build` made (default: NAME:latest).")
@click.option(
    "--replicas", nargs=2, type=click.IntRange(1, 1000), default=(2, 10), show_default=True, help="kubernetes, kserve: least and most."
)
@click.option("--key", type=_FILE, help="edge: the private key (PEM, elliptic curve) that signs the bundle.")
@click.option("--unsigned", is_flag=True, help="edge: leave the bundle unsigned.")
def command(asked: Asked, to: Path | None, called: str, image: str, replicas: tuple[int, int], key: Path | None, unsigned: bool) -> int:
    """Write NAME, a service or a model in the version that is served, as others run it, into a new folder. FORM is one of:

    edge: a signed bundle of its models, and of a service's function, with a small runner: it needs no bedplate and no network. docker: a
    Dockerfile and its context, `bedplate serve` behind a proxy that asks for a token. kubernetes: the manifests of that image. kserve: an
    InferenceService of it. triton: a model repository.
    """
    form, name = asked.names
    make = FORMS.get(form)
    if make is None:
        raise UserError(f"'{form}' is no form of an export", why=f"there are {', '.join(FORMS)}", next=f"bedplate export edge {name}")
    workspace = asked.open(pickles=False)
    chosen = subject(workspace, name)
    folder = to if to is not None else Path(f"{chosen.name}-{form}")
    with whole(folder) as inside:
        made = make(workspace, chosen, inside, Wish(key=key, unsigned=unsigned, name=called, image=image, replicas=replicas))
        written = tuple(files(inside))
    models = {one.name: one.version.ref for one in chosen.models}
    made = msgspec.structs.replace(made, form=form, folder=str(folder), name=chosen.name, models=models, files=written)
    if asked.as_json:
        put_json(made)
    else:
        _draw(made)
    return 0


def _edge(workspace: OpenProject, chosen: Subject, folder: Path, wish: Wish) -> Made:
    if wish.key is None and not wish.unsigned:
        raise UserError(
            "a bundle is signed, and no key was given",
            why="whoever gets it has to know that it is yours",
            next="openssl ecparam -name prime256v1 -genkey -noout -out key.pem, then --key key.pem; or --unsigned",
        )
    function, why = _function(workspace, chosen)
    made = edge.write(chosen, folder, lambda ref: workspace.show(ref).card, function, why=why)
    signed = sign_folder(folder, wish.key).name if wish.key is not None else ""
    first = next(iter(made.models))
    pins = tuple(one.pin for one in made.packages)
    return Made(packages=pins, signature=signed, notes=made.notes, next=f"python run.py < example-{first}.json")


def _function(workspace: OpenProject, chosen: Subject) -> tuple[Carried | None, str]:
    """The function of a service, or why it stays."""
    if chosen.kind != "service":
        return None, ""
    try:
        return carried(workspace, chosen.name), ""
    except UserError as error:
        rows = "the rows are what its function gives the models, features among them"
        return None, f"{chosen.name} itself is not in it: {error.why or error.what}; {rows}"


def _docker(workspace: OpenProject, chosen: Subject, folder: Path, wish: Wish) -> Made:
    notes = docker.write(workspace, chosen, folder)
    return Made(notes=tuple(notes), next=f"docker build --tag {_workload(workspace, chosen, wish).image} .")


def _kubernetes(workspace: OpenProject, chosen: Subject, folder: Path, wish: Wish) -> Made:
    made = _workload(workspace, chosen, wish)
    kubernetes.write(made, folder)
    return Made(notes=_secrets(made), next="kubectl apply --filename manifests.yaml")


def _kserve(workspace: OpenProject, chosen: Subject, folder: Path, wish: Wish) -> Made:
    made = _workload(workspace, chosen, wish)
    kserve.write(made, folder)
    return Made(notes=_secrets(made), next="kubectl apply --filename inference-service.yaml")


def _triton(_workspace: OpenProject, chosen: Subject, folder: Path, wish: Wish) -> Made:
    return Made(notes=tuple(triton.write(chosen, folder, wish.name)), next="tritonserver --model-repository .")


FORMS: dict[str, Callable[[OpenProject, Subject, Path, Wish], Made]] = {
    "edge": _edge, "docker": _docker, "kubernetes": _kubernetes, "kserve": _kserve, "triton": _triton,
}  # fmt: skip


def _workload(workspace: OpenProject, chosen: Subject, wish: Wish) -> Workload:
    return workload(chosen, wish.image, wish.name, docker.PROXY, wish.replicas, docker.is_remote(workspace))


def _secrets(made: Workload) -> tuple[str, ...]:
    """The image and the secrets that manifests name."""
    image = f"{made.image} is built from what bedplate export docker writes"
    token = f"kubectl create secret generic {made.name}-token --from-literal=token=$(openssl rand -hex 32)"
    record = f"the secret {made.name}-record has to hold BEDPLATE_CATALOG and BEDPLATE_STORE"
    return (image, token, *([record] if made.remote else []))


def _draw(made: Made) -> None:
    out = console()
    versions = ", ".join(made.models.values()) or "no model"
    out.print(f"[bold]{made.name}[/bold] ({versions}) for {made.form}: {escape(made.folder)}, {len(made.files)} files", soft_wrap=True)
    for note in made.notes:
        out.print(f"  {escape(note)}", soft_wrap=True)
    out.print(f"next: cd {escape(made.folder)}; [bold]{escape(made.next)}[/bold]", soft_wrap=True)

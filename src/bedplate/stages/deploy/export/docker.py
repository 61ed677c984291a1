"""A Dockerfile and its context: `bedplate serve` for one name, without root, on a root file system that is only read.

    project/ image.json         the project's own files, and what is served: read by start.py, so that no name is in any command
    record/                     a copy of the record and its bytes, brought to the volume /state at the first start; with a record on
                                PostgreSQL and a bucket there is none, and the environment says where that is
    requirements.txt wheels/    every package, pinned; wheels/ is for those that no registry has
    compose.yaml proxy/         the server behind a proxy that asks for a token: it listens on loopback alone, as everywhere

Limit: the record is copied whole, tables too; where that is much, serve from a shared record.
"""

from __future__ import annotations

import ast
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from bedplate.core.errors import UserError
from bedplate.pipeline.backup import back_up
from bedplate.pipeline.code.packages import UNVERSIONED, versions_of
from bedplate.pipeline.workspace import Workspace
from bedplate.storage.folder_bucket import FolderBucket

from .needed import Package, is_installed, packages, pins
from .subject import Subject
from .workload import INNER, PORT, USER, proxy_config

PROXY: Final = "nginxinc/nginx-unprivileged:1.29-alpine"
_SETTINGS: Final = ("runtime_tolerance", "loop_limit", "model_workers", "body_limit", "queue", "online", "allow_networks")
"""What a server here was told, and one in the image has to be told too; never where a record is, which may hold a password."""
_OPENMP: Final = ("lightgbm", "xgboost", "xgboost-cpu", "scikit-learn")
_WHEELS: Final = (
    "Wheels of packages that no registry has, bedplate's own among them while it is in none: pip wheel --no-deps --wheel-dir .\n"
)


def write(workspace: Workspace, asked: Subject, folder: Path) -> list[str]:
    """Write the context into an empty folder; what a reader has to know. Raises UserError, StoreError."""
    notes = _project(workspace, folder / "project")
    needed = _needed(workspace, asked)
    (folder / "requirements.txt").write_text(pins(needed), encoding="utf-8")
    (folder / "wheels").mkdir()
    (folder / "wheels" / "README").write_text(_WHEELS, encoding="utf-8")
    (folder / "image.json").write_text(json.dumps(_about(workspace, asked), indent=2) + "\n", encoding="utf-8")
    for source, target in {"image_start.py": "start.py", "image_health.py": "healthy.py"}.items():
        shutil.copyfile(Path(__file__).with_name(source), folder / target)
    if is_remote(workspace):
        notes.append("the record is shared: give the container BEDPLATE_CATALOG and BEDPLATE_STORE")
    else:
        place = FolderBucket(folder / "record")
        back_up(workspace.catalog, workspace.store, place, workspace.graph.project_name, workspace.clock.now())
        notes.append("the record is copied as it is now; what the container predicts stays in its volume /state")
    (folder / "proxy").mkdir()
    (folder / "proxy" / "default.conf.template").write_text(proxy_config(), encoding="utf-8")
    (folder / "compose.yaml").write_text(yaml.safe_dump(_compose(), sort_keys=False), encoding="utf-8")
    (folder / ".dockerignore").write_text("proxy\ncompose.yaml\nDockerfile\n.dockerignore\n", encoding="utf-8")
    (folder / "Dockerfile").write_text(dockerfile(needed), encoding="utf-8")
    return notes


def is_remote(workspace: Workspace) -> bool:
    """Whether the record is a database that others reach too."""
    return not str(workspace.config["catalog"]).startswith("sqlite:")


def dockerfile(needed: tuple[Package, ...]) -> str:
    """The Dockerfile: every command as a list, none with a name of the project's in it."""
    openmp = any(one.name.lower() in _OPENMP for one in needed)
    system = '\nRUN ["apt-get", "update"]\nRUN ["apt-get", "install", "--yes", "--no-install-recommends", "libgomp1"]' if openmp else ""
    minor = ".".join(platform.python_version_tuple()[:2])
    return f"""ARG BASE=python:{minor}-slim
FROM ${{BASE}} AS build
WORKDIR /build
COPY requirements.txt ./
COPY wheels ./wheels
RUN ["python", "-m", "venv", "/venv"]
RUN ["/venv/bin/pip", "install", "--no-cache-dir", "--no-deps", "--find-links", "wheels", "--requirement", "requirements.txt"]

FROM ${{BASE}}{system}
RUN ["install", "--directory", "--owner={USER}", "--group={USER}", "/state"]
COPY --from=build /venv /venv
COPY . /app
ENV PATH=/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 BEDPLATE_STATE=/state HOME=/tmp
WORKDIR /app
USER {USER}:{USER}
VOLUME /state
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["/venv/bin/python", "/app/healthy.py"]
ENTRYPOINT ["/venv/bin/python", "/app/start.py"]
"""


def _project(workspace: Workspace, folder: Path) -> list[str]:
    """Copy the project's own files; which lie elsewhere."""
    outside = []
    for name in _own(workspace):
        path = workspace.config.folder / name if not Path(name).is_absolute() else Path(name)
        if not path.is_relative_to(workspace.config.folder):
            outside.append(f"{path.name} is code of the project that lies elsewhere: put it into project/ or a wheel")
            continue
        target = folder / path.relative_to(workspace.config.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return outside


def _own(workspace: Workspace) -> list[str]:
    return sorted({str(workspace.config.project_file), *workspace.parts.loaded.read})


_EXTRAS: Final = {"remote": "http"}
"""The extra that a flavour needs, where it is not called so."""


def _needed(workspace: Workspace, asked: Subject) -> tuple[Package, ...]:
    """bedplate with what its models need, and what the project's files import. Raises UserError for what is not installed."""
    flavours = {one.stored.flavour for one in asked.models} - {"function"}
    extras = ",".join(sorted({_EXTRAS.get(name, name) for name in flavours}))
    found = [name for module in _imports(workspace) for name, version in versions_of(module).items() if version != UNVERSIONED]
    return packages([f"bedplate[{extras}]" if extras else "bedplate", *found, *(["lmdb"] if is_installed("lmdb") else [])])


def _imports(workspace: Workspace) -> Iterator[str]:
    """The packages that the project's files import, by their top module."""
    own = {Path(name).stem for name in _own(workspace)}
    for name in _own(workspace):
        for node in ast.walk(ast.parse(Path(name).read_bytes())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            yield from (top for one in named if (top := one.partition(".")[0]) not in {*sys.stdlib_module_names, *own, "bedplate"})


def _about(workspace: Workspace, asked: Subject) -> dict[str, Any]:
    config = workspace.config
    inside = config.project_file.relative_to(config.folder).as_posix()
    settings = {f"BEDPLATE_{name.upper()}": str(config[name]) for name in _SETTINGS}
    if "://" in settings["BEDPLATE_ONLINE"] and "@" in settings["BEDPLATE_ONLINE"]:
        raise UserError("the setting `online` holds a password", why="it would lie in the image", next="BEDPLATE_ONLINE=... where it runs")
    services = [asked.name] if asked.kind == "service" else []
    return {"project": inside, "services": services, "port": INNER, "settings": settings}


def _compose() -> dict[str, Any]:
    """The server and its proxy, which share one loopback."""
    locked = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "restart": "unless-stopped"}
    token = "${BEDPLATE_TOKEN:?a token that callers send as a bearer}"
    proxy = {
        "image": PROXY, "ports": [f"127.0.0.1:{PORT}:{PORT}"], "tmpfs": ["/tmp", "/etc/nginx/conf.d:uid=101"],
        "environment": {"BEDPLATE_TOKEN": token, "NGINX_ENVSUBST_FILTER": "^BEDPLATE_TOKEN$"},
        "volumes": ["./proxy:/etc/nginx/templates:ro"], **locked,
    }  # fmt: skip
    server = {"build": ".", "network_mode": "service:proxy", "tmpfs": ["/tmp"], "volumes": ["state:/state"], **locked}
    return {"services": {"proxy": proxy, "server": server}, "volumes": {"state": {}}}

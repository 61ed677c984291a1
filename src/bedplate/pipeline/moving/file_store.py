"""A folder of MLflow's file store (`mlruns`): one folder an experiment, one a run, one file a metric, param or tag.

Choices: what lies in a run's own folder goes before what its `meta.yaml` says of where files lie, so that a folder that was moved is read
as well; a folder without a readable `meta.yaml` is told and left out. Limits: traces are left where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from bedplate.catalog.tracking.theirs import (
    LOGGED_READY,
    Point,
    TheirDataset,
    TheirExperiment,
    TheirLogged,
    TheirMetric,
    TheirModel,
    TheirRun,
    TheirVersion,
)
from bedplate.core.errors import BedplateError, UserError

from .folders import Folders, InFolders

Read = Callable[[str, str], dict[str, Any]]
STATUS: Final = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
LOGGED_STATUS: Final = {
    "0": "LOGGED_MODEL_STATUS_UNSPECIFIED",
    "1": "LOGGED_MODEL_PENDING",
    "2": LOGGED_READY,
    "3": "LOGGED_MODEL_UPLOAD_FAILED",
}
DELETED: Final = "Deleted_Internal"
"""The stage that a deleted version is left with."""
_TRASH: Final = ".trash"
_MODELS: Final = "models"
_META: Final = "meta.yaml"
_MOST_META_BYTES: Final = 1 << 20


class FileStore(InFolders):
    """The folder; `read` reads a YAML text."""

    def __init__(self, folder: Path, folders: Folders, read: Read) -> None:
        super().__init__(folders)
        self._folder = folder.resolve()
        self._read = read
        self._homes: dict[str, Path] = {}

    @property
    def place(self) -> str:
        return str(self._folder)

    def experiments(self) -> list[TheirExperiment]:
        found = []
        for stage, top in (("active", self._folder), ("deleted", self._folder / _TRASH)):
            for folder in self._below(top):
                if folder.name not in (_MODELS, _TRASH) and (meta := self._meta(folder)) is not None:
                    self._homes[meta.get("experiment_id", folder.name)] = folder
                    found.append(
                        TheirExperiment(
                            id=meta.get("experiment_id", folder.name), name=meta.get("name", folder.name),
                            stage=meta.get("lifecycle_stage", stage), created_ms=_whole(meta.get("creation_time")),
                            updated_ms=_whole(meta.get("last_update_time")), tags=self._texts(folder / "tags"),
                        )
                    )  # fmt: skip
        return found

    def runs(self, experiment: str) -> Iterator[TheirRun]:
        home = self._homes[experiment]
        for folder in self._below(home):
            if folder.name in ("tags", "datasets", "traces", _MODELS) or (meta := self._meta(folder)) is None:
                continue
            ended = meta.get("end_time", "")
            yield TheirRun(
                id=meta.get("run_id") or folder.name, experiment=experiment, name=meta.get("run_name", ""), user=meta.get("user_id", ""),
                status=STATUS.get(meta.get("status", ""), meta.get("status") or "FINISHED"), started_ms=_whole(meta.get("start_time")),
                ended_ms=_whole(ended) if ended else None, stage=meta.get("lifecycle_stage", "active"),
                deleted_ms=_whole(meta.get("deleted_time")) or None, root=self._root(folder, meta.get("artifact_uri", "")),
                tags=self._texts(folder / "tags"), params=self._texts(folder / "params"),
                datasets=tuple(self._datasets(home, folder)), inputs=tuple(self._models_in(folder)),
                outputs=tuple(self._models_out(folder)),
            )  # fmt: skip

    def points(self, run: TheirRun) -> Iterator[Point]:
        folder = self._homes[run.experiment] / run.id / "metrics"
        for name, path in self._named(folder):
            for number, line in enumerate(self._text(path).splitlines(), 1):
                words = line.split()
                try:
                    yield Point(name, float(words[1]), int(words[0]), int(words[2]) if len(words) > 2 else 0)
                except (IndexError, ValueError):
                    self.troubles.append(f"{path}, line {number}: '{line[:80]}' is no point")

    def logged(self, experiment: str) -> Iterator[TheirLogged]:
        for folder in self._below(self._homes[experiment] / _MODELS):
            meta = self._meta(folder)
            if meta is not None:
                yield TheirLogged(
                    id=meta.get("model_id", folder.name), experiment=experiment, name=meta.get("name", ""),
                    model_type=meta.get("model_type", ""), run=meta.get("source_run_id", ""),
                    status=LOGGED_STATUS.get(meta.get("status", ""), LOGGED_READY), message=meta.get("status_message", ""),
                    created_ms=_whole(meta.get("creation_timestamp")), updated_ms=_whole(meta.get("last_updated_timestamp")),
                    is_deleted=meta.get("lifecycle_stage") == "deleted", root=self._root(folder, meta.get("artifact_location", "")),
                    params=self._texts(folder / "params"), tags=self._texts(folder / "tags"), metrics=tuple(self._measured(folder)),
                )  # fmt: skip

    def models(self) -> Iterator[TheirModel]:
        for folder in self._below(self._folder / _MODELS):
            meta = self._meta(folder)
            if meta is not None:
                versions = [self._version(one) for one in self._below(folder) if one.name.startswith("version-")]
                yield TheirModel(
                    name=meta.get("name", folder.name), description=meta.get("description", ""),
                    created_ms=_whole(meta.get("creation_timestamp")), updated_ms=_whole(meta.get("last_updated_timestamp")),
                    tags=self._texts(folder / "tags"),
                    aliases={name: _whole(number) for name, number in self._texts(folder / "aliases").items()},
                    versions=tuple(sorted((one for one in versions if one), key=lambda one: one.number)),
                )  # fmt: skip

    def _version(self, folder: Path) -> TheirVersion | None:
        meta = self._meta(folder)
        if meta is None or meta.get("current_stage") == DELETED:
            return None
        return TheirVersion(
            number=_whole(meta.get("version")), run=meta.get("run_id", ""), logged_model=meta.get("model_id", ""),
            source=meta.get("source", ""), description=meta.get("description", ""), user=meta.get("user_id", ""),
            stage=meta.get("current_stage") or "None", created_ms=_whole(meta.get("creation_timestamp")),
            updated_ms=_whole(meta.get("last_updated_timestamp")), tags=self._texts(folder / "tags"),
        )  # fmt: skip

    def _datasets(self, home: Path, folder: Path) -> Iterator[TheirDataset]:
        for one in self._below(folder / "inputs"):
            use = self._meta(one)
            if use is None or use.get("source_type") not in ("DATASET", "1"):
                continue
            meta = self._meta(home / "datasets" / Path(use.get("source_id", "")).name)
            if meta is not None:
                tags = use.get("tags")
                yield TheirDataset(
                    name=meta.get("name", ""), digest=meta.get("digest", ""), source_type=meta.get("source_type", ""),
                    source=meta.get("source", ""), schema=meta.get("schema", ""), profile=meta.get("profile", ""),
                    tags={name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {},
                )  # fmt: skip

    def _models_in(self, folder: Path) -> Iterator[str]:
        for one in self._below(folder / "inputs"):
            if one.name.startswith("m-"):
                yield one.name

    def _models_out(self, folder: Path) -> Iterator[tuple[str, int]]:
        for one in self._below(folder / "outputs"):
            meta = self._meta(one)
            if meta is not None and one.name.startswith("m-"):
                yield one.name, _whole(meta.get("step"))

    def _measured(self, folder: Path) -> Iterator[TheirMetric]:
        for name, path in self._named(folder / "metrics"):
            for line in self._text(path).splitlines():
                at, value, step, run, *more = [*line.split(), "", "", "", ""]
                try:
                    yield TheirMetric(
                        run=run, name=name, value=float(value), at_step=int(step or 0), at_ms=int(at),
                        dataset=more[0], dataset_digest=more[1] if len(more) > 1 else "",
                    )  # fmt: skip
                except ValueError:
                    self.troubles.append(f"{path}: '{line[:80]}' is no point")

    def _root(self, folder: Path, said: str) -> str:
        own = folder / "artifacts"
        return str(own) if own.is_dir() else said

    def _meta(self, folder: Path) -> dict[str, Any] | None:
        path = folder / _META
        if not path.is_file():
            return None
        try:
            return self._read(self._text(path, _MOST_META_BYTES), str(path))
        except BedplateError as error:
            self.troubles.append(error.line)
            return None

    def _texts(self, folder: Path) -> dict[str, str]:
        return {name: self._text(path) for name, path in self._named(folder)}

    def _named(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """The files below a folder by the name that they stand for: `nest/ed` is a file in a folder."""
        if folder.is_dir() and not folder.is_symlink():
            yield from ((file.path, self._folders.checked(file.place)) for file in self._folders.files(folder))

    def _below(self, folder: Path) -> list[Path]:
        if not folder.is_dir() or folder.is_symlink():
            return []
        return sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())

    def _text(self, path: Path, most: int = 1 << 30) -> str:
        if path.is_symlink() or path.stat().st_size > most:
            raise UserError(f"{path} is not read", why="it is a link, or larger than such a file is")
        return path.read_text(encoding="utf-8", errors="replace")


def _whole(text: Any) -> int:
    """A whole number of a text; 0 where there is none."""
    try:
        return int(text)
    except (TypeError, ValueError):
        return 0

"""An MLflow tracking server, read through its REST API by the guarded client: pages of runs, whole histories, files by the run.

Choices: every page is asked for by its token; a history is asked for in pages of 25,000 points; names and ids are sent as values of a
query or a JSON body, never pasted into a path unquoted. Limits: a server that is written to meanwhile may show a run in two pages, which
is then read twice and written once; traces are left where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bedplate.catalog.tracking.theirs import (
    LOGGED_READY,
    Owner,
    Point,
    TheirDataset,
    TheirExperiment,
    TheirFile,
    TheirLogged,
    TheirMetric,
    TheirModel,
    TheirRun,
    TheirVersion,
)
from bedplate.core.errors import UserError, WorldError

Body = dict[str, Any]
_API: Final = "/api/2.0/mlflow"
_PAGE: Final = 1000
_POINTS: Final = 25_000
_MOST_DEPTH: Final = 50


class Replied(Protocol):
    """An answer: its status and its body in pieces."""

    @property
    def status(self) -> int:
        """Of HTTP."""
        ...

    @property
    def body(self) -> Iterator[bytes]:
        """In pieces."""
        ...


class Asking(Protocol):
    """What asks the server: method, path with query, JSON body or nothing; the answer's body is to be read inside the block."""

    def __call__(self, method: str, url: str, body: bytes) -> AbstractContextManager[Replied]:
        """The answer."""
        ...


class Server:
    """The server at an address."""

    def __init__(self, url: str, asking: Asking) -> None:
        self.troubles: list[str] = []
        self._url = url.rstrip("/")
        self._asking = asking

    @property
    def place(self) -> str:
        return self._url

    def experiments(self) -> list[TheirExperiment]:
        found = self._pages("POST", "/experiments/search", "experiments", {"view_type": "ALL", "max_results": _PAGE})
        return [
            TheirExperiment(
                id=str(one["experiment_id"]), name=one.get("name", ""), stage=one.get("lifecycle_stage", "active"),
                created_ms=_whole(one, "creation_time"), updated_ms=_whole(one, "last_update_time"), tags=_tags(one),
            )
            for one in found
        ]  # fmt: skip

    def runs(self, experiment: str) -> Iterator[TheirRun]:
        asked = {"experiment_ids": [experiment], "run_view_type": "ALL", "max_results": _PAGE}
        for one in self._pages("POST", "/runs/search", "runs", asked):
            info, data = one["info"], one.get("data", {})
            ended = _whole(info, "end_time")
            yield TheirRun(
                id=info.get("run_id") or info["run_uuid"], experiment=experiment, name=info.get("run_name", ""),
                user=info.get("user_id", ""), status=info.get("status", "FINISHED"), started_ms=_whole(info, "start_time"),
                ended_ms=ended or None, stage=info.get("lifecycle_stage", "active"), root=info.get("artifact_uri", ""),
                tags=_tags(data), params=_tags(data, "params"), datasets=tuple(_datasets(one.get("inputs", {}))),
                inputs=tuple(given["model_id"] for given in one.get("inputs", {}).get("model_inputs", [])),
                outputs=tuple((made["model_id"], _whole(made, "step")) for made in one.get("outputs", {}).get("model_outputs", [])),
            )  # fmt: skip

    def points(self, run: TheirRun) -> Iterator[Point]:
        data = self._get("/runs/get", {"run_id": run.id})["run"].get("data", {})
        for metric in data.get("metrics", []):
            asked = {"run_id": run.id, "metric_key": metric["key"], "max_results": _POINTS}
            for point in self._pages("GET", "/metrics/get-history", "metrics", asked):
                yield Point(point["key"], _number(point), _whole(point, "timestamp"), _whole(point, "step"))

    def logged(self, experiment: str) -> Iterator[TheirLogged]:
        try:
            found = self._pages("POST", "/logged-models/search", "models", {"experiment_ids": [experiment], "max_results": 50})
            yield from (_logged(one, experiment) for one in found)
        except UserError as error:
            if not error.what.endswith(" 404"):
                raise

    def models(self) -> Iterator[TheirModel]:
        for one in self._pages("GET", "/registered-models/search", "registered_models", {"max_results": 100}):
            name = one["name"]
            quoted = name.replace("'", "''")
            versions = self._pages("GET", "/model-versions/search", "model_versions", {"filter": f"name='{quoted}'", "max_results": 1000})
            yield TheirModel(
                name=name, description=one.get("description", ""), created_ms=_whole(one, "creation_timestamp"),
                updated_ms=_whole(one, "last_updated_timestamp"), tags=_tags(one),
                aliases={alias["alias"]: _whole(alias, "version") for alias in one.get("aliases", [])},
                versions=tuple(sorted((_version(version) for version in versions), key=lambda version: version.number)),
            )  # fmt: skip

    def files(self, owner: Owner) -> Iterator[TheirFile]:
        if isinstance(owner, TheirLogged):
            listed = f"/logged-models/{quote(owner.id, safe='')}/artifacts/directories"
            base = f"/ajax-api/2.0/mlflow/logged-models/{quote(owner.id, safe='')}/artifacts/files?"
            yield from self._files(listed, {}, "artifact_directory_path", base, "artifact_file_path", {}, "", 0)
        else:
            yield from self._files("/artifacts/list", {"run_id": owner.id}, "path", "/get-artifact?", "path", {"run_id": owner.id}, "", 0)

    def files_at(self, model: str, version: TheirVersion) -> Iterator[TheirFile]:
        return iter(())

    def fetch(self, file: TheirFile, into: Path) -> Path:
        with self._asking("GET", self._url + file.place, b"") as answer, into.open("wb") as sink:
            self._ok(answer, file.place)
            for piece in answer.body:
                sink.write(piece)
        return into

    def _files(self, listed: str, asked: Body, key: str, base: str, name: str, more: Body, below: str, depth: int) -> Iterator[TheirFile]:
        if depth > _MOST_DEPTH:
            raise WorldError(f"{self._url} lists folders without end", why=below)
        for one in self._pages("GET", listed, "files", {**asked, **({key: below} if below else {})}):
            path = one["path"]
            if one.get("is_dir"):
                yield from self._files(listed, asked, key, base, name, more, path, depth + 1)
            else:
                yield TheirFile(path=path, size_bytes=_whole(one, "file_size"), place=base + urlencode({**more, name: path}))

    def _pages(self, method: str, path: str, key: str, asked: Body) -> Iterator[Body]:
        token = ""
        while True:
            page = {**asked, **({"page_token": token} if token else {})}
            answer = self._get(path, page) if method == "GET" else self._ask("POST", path, msgspec.json.encode(page))
            yield from answer.get(key, [])
            before, token = token, answer.get("next_page_token", "")
            if not token or token == before:
                return

    def _get(self, path: str, asked: Body) -> Body:
        return self._ask("GET", f"{path}?{urlencode(asked)}", b"")

    def _ask(self, method: str, path: str, body: bytes) -> Body:
        with self._asking(method, f"{self._url}{_API}{path}", body) as answer:
            self._ok(answer, path)
            try:
                found = msgspec.json.decode(b"".join(answer.body))
            except msgspec.DecodeError as error:
                raise WorldError(f"{self._url} answers with what is no JSON", why=str(error)) from error
        if not isinstance(found, dict):
            raise WorldError(f"{self._url} answers with what is no mapping")
        return found

    def _ok(self, answer: Replied, path: str) -> None:
        if answer.status == 200:
            return
        said = f"{urlsplit(self._url).hostname} answered {answer.status}"
        if answer.status >= 500 or answer.status == 429:
            raise WorldError(said, why=f"{path} was asked for", next="the same command again: what was brought is not brought twice")
        raise UserError(said, why=f"{path} was asked for", next="look at the address; MLFLOW_TRACKING_TOKEN is sent where it is set")


def _logged(one: Body, experiment: str) -> TheirLogged:
    info, data = one["info"], one.get("data", {})
    return TheirLogged(
        id=info["model_id"], experiment=experiment, name=info.get("name", ""), model_type=info.get("model_type", ""),
        run=info.get("source_run_id", ""), status=info.get("status", LOGGED_READY), message=info.get("status_message", ""),
        created_ms=_whole(info, "creation_timestamp_ms"), updated_ms=_whole(info, "last_updated_timestamp_ms"),
        root=info.get("artifact_uri", ""), params=_tags(data, "params"), tags=_tags(info),
        metrics=tuple(
            TheirMetric(
                run=point.get("run_id", ""), name=point["key"], value=_number(point), at_step=_whole(point, "step"),
                at_ms=_whole(point, "timestamp"), dataset=point.get("dataset_name", ""), dataset_digest=point.get("dataset_digest", ""),
            )
            for point in data.get("metrics", [])
        ),
    )  # fmt: skip


def _version(one: Body) -> TheirVersion:
    source = one.get("source", "")
    named = source.removeprefix("models:/").partition("/")[0] if source.startswith("models:/m-") else ""
    return TheirVersion(
        number=_whole(one, "version"), run=one.get("run_id", ""), logged_model=one.get("model_id", "") or named, source=source,
        description=one.get("description", ""), user=one.get("user_id", ""), stage=one.get("current_stage", "None"),
        created_ms=_whole(one, "creation_timestamp"), updated_ms=_whole(one, "last_updated_timestamp"), tags=_tags(one),
    )  # fmt: skip


def _datasets(inputs: Mapping[str, Any]) -> Iterator[TheirDataset]:
    for use in inputs.get("dataset_inputs", []):
        one = use["dataset"]
        yield TheirDataset(
            name=one.get("name", ""), digest=one.get("digest", ""), source_type=one.get("source_type", ""), source=one.get("source", ""),
            schema=one.get("schema", ""), profile=one.get("profile", ""), tags=_tags(use),
        )  # fmt: skip


def _tags(one: Mapping[str, Any], key: str = "tags") -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in one.get(key, [])}


def _whole(one: Mapping[str, Any], key: str) -> int:
    """Protobuf's JSON writes long numbers as text."""
    return int(one.get(key) or 0)


def _number(point: Mapping[str, Any]) -> float:
    return float(point.get("value", 0.0))

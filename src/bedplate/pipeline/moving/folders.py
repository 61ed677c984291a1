"""Files of a source on this machine: only what lies beneath its own folders is read, and no link is followed.

What a tracker's record says of where files lie is anybody's text: `file:///etc` in it must not bring `/etc` into the store. So a place
counts only beneath the source's folder or one that the user names with `--files`; the rest is told and left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bedplate.catalog.tracking.theirs import Owner, TheirFile, TheirVersion
from bedplate.core.errors import Refused

SERVED = "mlflow-artifacts"
"""The scheme of files that a tracking server hands out; their folder is one that the user names."""


class Folders:
    """The folders that files may lie in; `home` is where relative places begin."""

    def __init__(self, home: Path, more: Sequence[Path] = ()) -> None:
        self._home = home.resolve()
        self._named = [folder.resolve() for folder in more]

    def folder(self, root: str) -> Path | None:
        """The folder of a place, where it is there and may be read."""
        return next((found for found in self._within(root) if _plain(found, self._tops())), None)

    def of(self, root: str) -> Iterator[TheirFile]:
        """Every plain file of a place; none of one that was never made. Raises Refused for a place that may not be read."""
        folder = self.folder(root)
        if folder is not None:
            yield from self.files(folder)
        elif root and not any(not found.exists() for found in self._within(root)):
            raise Refused(f"the files at {root} are left out", why="they lie elsewhere", next="--files FOLDER names their folder")

    def files(self, folder: Path) -> Iterator[TheirFile]:
        """Every plain file below a folder."""
        if folder.is_file():
            yield TheirFile(path=folder.name, size_bytes=folder.stat().st_size, place=str(folder))
            return
        for at, folders, names in os.walk(folder, followlinks=False):
            folders.sort()
            for name in sorted(names):
                path = Path(at, name)
                said = path.lstat()
                if stat.S_ISREG(said.st_mode):
                    yield TheirFile(path=path.relative_to(folder).as_posix(), size_bytes=said.st_size, place=str(path))

    def checked(self, place: str) -> Path:
        """The path of a listed file. Raises Refused where a link stands there now."""
        path = Path(place)
        if not _plain(path, self._tops()):
            raise Refused(f"{path} is not read", why="a link leads there")
        return path

    def _within(self, root: str) -> list[Path]:
        """The paths that a place may stand for, of those beneath the folders that are read."""
        paths = [Path(os.path.normpath(path)) for path in self._paths(root)]
        return [path for path in paths if any(path.is_relative_to(top) for top in self._tops())]

    def _tops(self) -> tuple[Path, ...]:
        return (self._home, *self._named)

    def _paths(self, root: str) -> Iterator[Path]:
        parts = urlsplit(root)
        if parts.scheme == SERVED:
            yield from (folder / unquote(parts.path).lstrip("/") for folder in self._named)
        elif parts.scheme == "file" and parts.netloc in ("", "localhost"):
            yield Path(unquote(parts.path))
        elif not parts.scheme and root:
            yield self._home / root


class InFolders:
    """What every source has whose files lie in folders of this machine."""

    def __init__(self, folders: Folders) -> None:
        self.troubles: list[str] = []
        self._folders = folders

    def files(self, owner: Owner) -> Iterator[TheirFile]:
        """The files of a run or logged model; what is left out is among the troubles."""
        try:
            yield from self._folders.of(owner.root)
        except Refused as error:
            self.troubles.append(f"{owner.id}: {error.line}")

    def files_at(self, model: str, version: TheirVersion) -> Iterator[TheirFile]:
        """The files of a version that lie with no run or logged model. Raises Refused."""
        yield from self._folders.of(version.source)

    def fetch(self, file: TheirFile, into: Path) -> Path:
        """The path of the file itself. Raises Refused."""
        return self._folders.checked(file.place)


def _plain(path: Path, tops: Sequence[Path]) -> bool:
    """Whether the path is there and no part of it below its top is a link."""
    top = next((one for one in tops if path.is_relative_to(one)), None)
    if top is None:
        return False
    at = top
    for part in path.relative_to(top).parts:
        at = at / part
        if at.is_symlink():
            return False
    return path.exists()

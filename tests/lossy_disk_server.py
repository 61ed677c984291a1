"""The file system behind `lossy_disk.py`: `lossy_disk_server.py FOLDER [halves]` mounts it and serves until it is unmounted.

Each inode has what is there now and what is on the plate: `fsync` of a file brings its bytes there, `fsync` of a folder its names. A crash
goes back to the plate, the strictest reading of what a disk owes. It is told what to do by extended attributes of its root.
"""

from __future__ import annotations

import errno
import stat
import sys
import time
from pathlib import Path
from typing import Any

import mfusepy


class _Node:
    """A file or folder: `now` is what a program sees, `plate` what survives (None: nothing of it does)."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.now: Any = {} if stat.S_ISDIR(mode) else bytearray()
        self.plate: Any = {} if stat.S_ISDIR(mode) else b""
        self.links = 1
        self.at = time.time_ns()

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    def sync(self) -> None:
        self.plate = dict(self.now) if self.is_folder else bytes(self.now)

    def lose(self) -> None:
        """Back to the plate, and so all that is below."""
        self.now = dict(self.plate) if self.is_folder else bytearray(self.plate)
        for node in self.now.values() if self.is_folder else ():
            node.lose()


class Disk(mfusepy.Operations):
    """See the module."""

    use_ns = True

    def __init__(self, halves: bool) -> None:
        self.halves = halves
        self.top = _Node(stat.S_IFDIR | 0o755)
        self.open_files: dict[int, _Node] = {}
        self.left: int | None = None
        self.delay_s = 0.0
        self.room: int | None = None
        self.turn = 0

    # Control

    def setxattr(self, path: str, name: str, value: bytes, options: int, position: int = 0) -> int:
        number = int(value)
        match name.removeprefix("user."):
            case "after":
                self.left = number
            case "crash":
                self.left = None
                self.top.lose()
            case "delay_ms":
                self.delay_s = number / 1000
            case "room":
                self.room = number if number >= 0 else None
        return 0

    def changes(self) -> None:
        if self.left is not None:
            if self.left <= 0:
                raise mfusepy.FuseOSError(errno.EIO)
            self.left -= 1

    # Names

    def node(self, path: str) -> _Node:
        found = self.top
        for part in Path(path).parts[1:]:
            if not found.is_folder or part not in found.now:
                raise mfusepy.FuseOSError(errno.ENOENT)
            found = found.now[part]
        return found

    def parent(self, path: str) -> tuple[dict[str, _Node], str]:
        return self.node(str(Path(path).parent)).now, Path(path).name

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        node = self.open_files[fh] if fh in self.open_files else self.node(path)
        size = 0 if node.is_folder else len(node.now)
        return {
            "st_mode": node.mode, "st_nlink": node.links, "st_size": size, "st_ino": id(node) >> 4, "st_uid": 0, "st_gid": 0,
            "st_atime": node.at, "st_mtime": node.at, "st_ctime": node.at,
        }  # fmt: skip

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *self.node(path).now]

    def mkdir(self, path: str, mode: int) -> int:
        self.changes()
        folder, name = self.parent(path)
        folder[name] = _Node(stat.S_IFDIR | mode)
        return 0

    def unlink(self, path: str) -> int:
        self.changes()
        folder, name = self.parent(path)
        folder.pop(name).links -= 1
        return 0

    def rmdir(self, path: str) -> int:
        if self.node(path).now:
            raise mfusepy.FuseOSError(errno.ENOTEMPTY)
        return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        self.changes()
        folder, name = self.parent(old)
        there, fresh = self.parent(new)
        there[fresh] = folder.pop(name)
        return 0

    def link(self, target: str, source: str) -> int:
        self.changes()
        folder, name = self.parent(target)
        folder[name] = self.node(source)
        folder[name].links += 1
        return 0

    def chmod(self, path: str, mode: int) -> int:
        node = self.node(path)
        node.mode = stat.S_IFMT(node.mode) | mode
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        self.node(path).at = times[1] if times else time.time_ns()
        return 0

    # Bytes

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        self.changes()
        folder, name = self.parent(path)
        folder[name] = _Node(stat.S_IFREG | mode)
        return self.open(path, 0)

    def open(self, path: str, flags: int) -> int:
        self.turn += 1
        self.open_files[self.turn] = self.node(path)
        return self.turn

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return bytes(self.open_files[fh].now[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self.changes()
        time.sleep(self.delay_s)
        node = self.open_files[fh]
        self.turn += 1
        if self.halves and self.turn % 5 == 0:
            raise mfusepy.FuseOSError(errno.EINTR)
        data = data[: (len(data) + 1) // 2] if self.halves else data
        if self.room is not None:
            if len(data) > self.room:
                raise mfusepy.FuseOSError(errno.ENOSPC)
            self.room -= len(data)
        node.now[len(node.now) : offset] = bytes(max(0, offset - len(node.now)))
        node.now[offset : offset + len(data)] = data
        node.at = time.time_ns()
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self.changes()
        node = self.open_files[fh] if fh in self.open_files else self.node(path)
        node.now = bytearray(node.now[:length].ljust(length, b"\0"))
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self.changes()
        self.open_files[fh].sync()
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self.changes()
        self.node(path).sync()
        return 0

    def release(self, path: str, fh: int) -> int:
        self.open_files.pop(fh, None)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 20, "f_bfree": 1 << 20, "f_bavail": 1 << 20, "f_namemax": 255}


if __name__ == "__main__":
    options: dict[str, Any] = {"direct_io": True} if "halves" in sys.argv else {}
    mfusepy.FUSE(
        Disk("halves" in sys.argv),
        sys.argv[1],
        foreground=True,
        nothreads=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        **options,
    )

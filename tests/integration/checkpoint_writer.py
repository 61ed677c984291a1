"""Saves checkpoints as a training loop does, and says of each that it is whole: `checkpoint_writer.py FOLDER FIRST LAST [SIZE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from bedplate.storage.checkpoints import FolderCheckpoints


def state(folder: Path, step: int, size: int) -> None:
    """Two files that belong together."""
    (folder / "weights").write_bytes(step.to_bytes(4, "big") * (size // 4))
    (folder / "more").mkdir()
    (folder / "more" / "optimizer").write_bytes((step + 1).to_bytes(4, "big") * (size // 4))


def main(root: str, first: str, last: str, size: str = "4000") -> None:
    kept = FolderCheckpoints(Path(root), "sha256:loop", 2)
    for step in range(int(first), int(last)):
        kept.save(step, lambda folder, step=step: state(folder, step, int(size)))
        kept.wait()
        print(step, kept.newest(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

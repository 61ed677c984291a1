"""Which files of this machine an import may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedplate.core.errors import Refused
from bedplate.pipeline.moving.folders import Folders


def test_a_place_counts_only_beneath_the_named_folders(tmp_path: Path) -> None:
    """Proves that absolute, relative, encoded and served places all end beneath the source's folder or a named one."""
    home, more = tmp_path / "home", tmp_path / "more"
    (home / "a b").mkdir(parents=True)
    (more / "1").mkdir(parents=True)
    folders = Folders(home, [more])
    assert folders.folder(f"file://{home}/a%20b") == home / "a b"
    assert folders.folder("a b") == home / "a b"
    assert folders.folder("mlflow-artifacts:/1") == more / "1"
    for place in ("/etc", "file:///etc", "../more/..", "file://elsewhere/etc", f"{home}/../../", "s3://bucket/key", "a b/../../../etc", ""):
        assert folders.folder(place) is None, place


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Proves that a link to a file, to a folder, and one that comes after the listing, bring nothing."""
    home, secret = tmp_path / "home", tmp_path / "secret"
    home.mkdir()
    secret.mkdir()
    (secret / "key").write_text("mine")
    (home / "file").symlink_to(secret / "key")
    (home / "folder").symlink_to(secret)
    (home / "own").write_text("own")
    folders = Folders(home)
    listed = list(folders.files(home))
    assert [one.path for one in listed] == ["own"]
    assert folders.folder("folder") is None
    (home / "own").unlink()
    (home / "own").symlink_to(secret / "key")
    with pytest.raises(Refused):
        folders.checked(listed[0].place)


def test_a_folder_that_was_never_made_has_no_files_and_one_elsewhere_is_told(tmp_path: Path) -> None:
    """Proves that a run without files is no trouble, and that files elsewhere are."""
    folders = Folders(tmp_path)
    assert list(folders.of("1/ab/artifacts")) == []
    with pytest.raises(Refused):
        list(folders.of("file:///elsewhere/1/ab/artifacts"))

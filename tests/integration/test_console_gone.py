"""Bytes that are no longer where the record has them, or were put there by somebody else: pages say so, and show nothing of others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from up_site import in_thread

CONTENT = b"word,number\nplover,1\n"


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_without_its_bytes_says_so(tmp_path: Path, linked: bool) -> None:
    """Its page, its download and its media: not there, in words; the folder is shown all the same. A link to a secret is not followed."""
    (tmp_path / "secret").write_bytes(b"secret,number\nplover,1\n")
    with in_thread(tmp_path) as site:
        with site.line() as line:
            run = line.new_run()
        assert site.ask("GET", f"/compare?runs={run}").status == 200  # of a run that said nothing
        put = site.ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.csv", CONTENT)
        assert put.status == 200
        assert b"plover" in site.ask("GET", f"/runs/{run}?tab=files&file=a.csv").body
        (blob,) = (one for one in tmp_path.rglob("*") if one.name == hashlib.sha256(CONTENT).hexdigest())
        blob.unlink()
        if linked:
            blob.symlink_to(tmp_path / "secret")
        for address in ("?tab=files&file=a.csv", "/file?path=a.csv", "/media?path=a.csv"):
            answer = site.ask("GET", f"/runs/{run}{address}")
            assert answer.status == 404
            assert "collected or gone" in answer.json["message"]
        assert b"a.csv" in site.ask("GET", f"/runs/{run}?tab=files").body

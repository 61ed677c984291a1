"""`bedplate target`: what bedplate.toml has, what is added to it, and what a place is found to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedplate.interfaces.cli import main

PROJECT = "from bedplate import Project\nsmall = Project('small')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.py").write_text(PROJECT)
    (tmp_path / "bedplate.toml").write_text("# ours\nkeep = '3 days'\n[target.known]\ncpu = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def types(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["target", *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_target_is_added_listed_and_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file keeps its comments, and every verb takes the new name at once."""
    place = folder / "elsewhere"
    assert types(capsys, "add", "team", "--store", f"file://{place}", "--set", "cpu=2", "--set", f"state={place}")[0] == 0
    assert (folder / "bedplate.toml").read_text() == (
        f'# ours\nkeep = \'3 days\'\n[target.known]\ncpu = 1\n\n[target.team]\nstore = "file://{place}"\ncpu = "2"\nstate = "{place}"\n'
    )
    listed = json.loads(types(capsys, "list", "--json")[1])
    assert [(one["target"], one["own"]) for one in listed] == [("local", True), ("known", False), ("team", False)]
    tried = json.loads(types(capsys, "test", "team", "--json")[1])
    assert [one["what"] for one in tried if one["area"] == "store"] == ["make a folder", "write 1 MB", "read 1 MB", "delete"]
    assert not [one for one in tried if one["problem"]]
    assert not list(place.glob("probe/*"))


def test_a_password_in_the_file_is_not_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever in an address somebody wrote it; what else stands there is shown. sslkey is a file, and yet as good as a secret."""
    for where in ("me:hush@host/db", "me@host/db?passfile=f&password=hush&schema=s", "me@host/db?sslpassword=hush&schema=s"):
        (folder / "bedplate.toml").write_text(f'[target.team]\ncatalog = "postgresql://{where}"\n')
        listed = types(capsys, "list", "--json")[1]
        assert "hush" not in listed
        assert "host/db" in listed


@pytest.mark.bad_input("a target that cannot be added")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "team"], "what is 'team'?"),
        (["add", "Team!", "--store", "file:///x"], "cannot be a target's name"),
        (["add", "team", "--set", "cpus=2"], "did you mean 'cpu'?"),
        (["add", "team", "--set", "cpu"], "sets nothing"),
        (["add", "team", "--catalog", "postgresql://me:secret@host/db"], "a password does not belong"),
        (["add", "team", "--catalog", "postgresql://me@host/db?schema=s&password=secret"], "a password does not belong"),
        (["add", "team", "--store", "s3://b/x?secret_access_key=secret"], "a password does not belong"),
        (["add", "team", "--catalog", "postgresq://me@host/db"], "did you mean postgresql://?"),
        (["add", "team", "--catalog", "host=db.example dbname=ml"], "names no known place"),
        (["add", "team", "--catalog", "postgresql://me@host:port/db"], "is no address"),
        (["add", "team", "--catalog", "postgresql://me@host/db?schema="], "an empty schema"),
        (["add", "team", "--catalog", "sqlite://catalog.db"], "no absolute path"),
        (["add", "team", "--store", "s33://bucket/x"], "did you mean s3://?"),
        (["add", "team", "--store", "s3://"], "a bucket's name is needed"),
        (["add", "team", "--store", "s3:///folder"], "a bucket's name is needed"),
        (["add", "team", "--store", "s3://b/../../x"], "has no '..'"),
        (["add", "team", "--store", "s3://b/x?endpoint=nonsense"], "no http:// or https:// address"),
        (["add", "team", "--store", "s3://b/x?endpoint=http://"], "no http:// or https:// address"),
        (["add", "team", "--store", "s3://b/x?endpint=http://127.0.0.1:9000"], "unknown options: endpint"),
        (["add", "team", "--store", "file://lake"], "no absolute path"),
        (["add", "team", "--store", "file:///lake/../x"], "has '..'"),
        (["add", "local", "--store", "file:///x"], "there is a target 'local' already"),
        (["add", "known", "--store", "file:///x"], "there is a target 'known' already"),
        (["remove", "team"], "is not known"),
        (["test", "nowhere"], "no target 'nowhere'"),
    ],
)
def test_what_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    """With what to do; the file stays as it is, and a password is not repeated."""
    before = (folder / "bedplate.toml").read_text()
    code, _, err = types(capsys, *words)
    assert (code, says in err, "secret" in err, "Traceback" in err) == (2, True, False, False), err
    assert (folder / "bedplate.toml").read_text() == before


def test_a_place_that_is_wrong_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4; what fails ends its area, and the other is tried all the same."""
    (folder / "file").write_text("no folder")
    types(capsys, "add", "bad", "--store", f"file://{folder}/file")
    code, out, _ = types(capsys, "test", "bad", "--json")
    tried = json.loads(out)
    assert code == 4
    assert [one["what"] for one in tried if one["problem"]] == ["make a folder"]
    assert {one["area"] for one in tried} == {"catalog", "store"}


@pytest.mark.bad_input("a store that cannot hold a lake")
def test_a_lake_on_hdfs_is_refused_when_it_is_added(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = types(capsys, "add", "team", "--store", "hdfs://host/x")
    assert (code, "put-if-absent" in err) == (5, True)


def test_the_next_step_names_the_target_that_was_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the low rooms cannot know; and PostgreSQL's reason is told from its beginning."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    assert types(capsys, "add", "team", "--catalog", "postgresql://me@127.0.0.1:1/db")[0] == 0
    for words in (["test", "team"], ["test", "--target", "team"]):
        (told,) = [one for one in json.loads(types(capsys, *words, "--json")[1]) if one["area"] == "catalog"]
        assert told["next"].endswith("bedplate target test team")
        assert "Connection refused" in told["problem"]
        assert "\n" not in told["problem"]
    with pytest.raises(SystemExit):
        main(["status", "--target", "team"])
    assert "bedplate target test team" in capsys.readouterr().err

"""What clients logged where there is no project: traced, compared, asked in SQL and promoted from the command line, here or by --state."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from up_site import API, in_thread

from bedplate.core.errors import NotFound, Refused
from bedplate.interfaces.cli import cli


def typed(*words: str) -> str:
    """What a verb prints."""
    done = CliRunner().invoke(cli, list(words), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def logged(folder: Path) -> list[str]:
    """Two runs of a client, each with a param; the first made `late@1`, of a file that nobody knows how to load."""
    with in_thread(folder) as up:
        runs = []
        for depth in ("3", "5"):
            with up.line() as line:
                runs.append(line.new_run())
            up.ask("POST", f"{API}/runs/log-parameter", {"run_id": runs[-1], "key": "depth", "value": depth})
        file = f"/api/2.0/mlflow-artifacts/artifacts/0/{runs[0]}/artifacts/model/weights.bin"
        assert up.ask("PUT", file, b"weights", {"Content-Type": "application/octet-stream"}).status == 200
        up.ask("POST", f"{API}/registered-models/create", {"name": "late"})
        made = {"name": "late", "source": f"runs:/{runs[0]}/model", "run_id": runs[0]}
        assert up.ask("POST", f"{API}/model-versions/create", made).status == 200
    return runs


@pytest.mark.parametrize("is_here", [True, False], ids=["here", "by its place"])
def test_the_command_line_needs_no_project(is_here: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = logged(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path if is_here else elsewhere)
    at = () if is_here else ("--state", str(tmp_path / ".bedplate"))
    assert f"({runs[0]}) of a client" in typed("lineage", "late@1", *at)
    assert "param depth" in typed("diff", *runs, *at)
    assert "5" in typed("sql", f"SELECT value FROM params WHERE run = '{runs[1]}'", *at)
    with pytest.raises(Refused, match="cannot be served"):
        typed("promote", "late@1", *at)
    with pytest.raises(NotFound, match="nothing is called 'early'"):
        typed("rollback", "early", *at)
    assert list(elsewhere.iterdir()) == []


def test_where_there_is_neither_project_nor_record_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("lineage", "late"), ("diff", "a", "b"), ("sql", "SELECT 1"), ("promote", "late@1"), ("rollback", "late")):
        with pytest.raises(NotFound, match="no project file"):
            typed(*words)
    assert list(tmp_path.iterdir()) == []

"""The verbs about accounts, tokens, the audit log and logins, as a person types them beside a server that runs."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from up_site import API, Up, in_thread

from bedplate.core.errors import NotFound, Refused, UserError, WorldError
from bedplate.interfaces.cli import cli

GOOD = "plover quartz tandem 41"
Typed = Callable[..., str]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with in_thread(tmp_path) as server:
        yield server


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """What a verb prints, in the folder of the state; `says` is what comes through a pipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words: str, says: str = "", exit_code: int = 0) -> str:
        done = CliRunner().invoke(cli, list(words), input=says, standalone_mode=False)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert (done.return_value or 0) == exit_code, done.output
        return done.stdout

    return run


def told(typed: Typed, *words: str, **more: Any) -> Any:
    return json.loads(typed(*words, "--json", **more))


def test_an_account_is_made_let_in_and_explained(up: Up, typed: Typed) -> None:
    """Added, granted by an experiment's name, asked why, put out, removed: each change in the log, by who sits here."""
    assert told(typed, "account", "add", "ann", "--password", says=f"{GOOD}\n")["has_password"]
    assert told(typed, "account", "grant", "ann", "contributor", "--on", "experiment:Default")["resource"] == "experiment:0"
    assert told(typed, "audit", "why", "ann", "run.write", "experiment:Default")["allowed"]
    assert typed("audit", "why", "ann", "run.delete", "experiment:0").startswith(
        "no: run.delete on experiment:0 needs a maintainer; ann is"
    )
    assert "ann      user   token, password  contributor on experiment:Default" in typed("account", "list")
    with pytest.raises(UserError, match="on what"):
        typed("account", "grant", "ann", "viewer")
    with pytest.raises(NotFound, match="there is no experiment 'no'"):
        typed("account", "grant", "ann", "viewer", "--on", "experiment:no")
    typed("account", "off", "ann")
    assert told(typed, "audit", "why", "ann", "run.write", "experiment:0")["rule"] == "ann is off: it cannot come in"
    typed("account", "remove", "ann")
    done = told(typed, "audit", "list", "--resource", "account:ann")
    assert [json.loads(one["data"]).get("did") for one in done] == ["remove", "off", None, "made"]
    assert {one["actor"].partition(":")[0] for one in done} == {"local"}


@pytest.mark.parametrize("weak", ["password1234", "short", ""])
def test_a_weak_password_is_refused_by_the_verb_too(up: Up, typed: Typed, weak: str) -> None:
    with pytest.raises(UserError, match="not good enough"):
        typed("account", "add", "ann", "--password", says=f"{weak}\n")
    assert up.catalog.accounts.find("ann") is None


def test_a_token_is_made_listed_and_revoked(up: Up, typed: Typed) -> None:
    """It opens the server at once, with its limit, and no more once it is revoked."""
    made = told(typed, "token", "new", "nightly", "--role", "viewer", "--days", "7")
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert up.nobody("GET", f"{API}/experiments/get?experiment_id=0", headers=headers).status == 200
    assert up.nobody("POST", f"{API}/experiments/create", {"name": "x"}, headers).status == 403
    assert "nightly" in typed("token", "list")
    assert made["token"] not in typed("token", "list", "--json")
    typed("token", "revoke", made["id"])
    assert up.nobody("GET", f"{API}/experiments/get?experiment_id=0", headers=headers).status == 401


def test_a_changed_log_is_found_and_a_noted_head_proves_more(up: Up, typed: Typed, tmp_path: Path) -> None:
    """`verify` ends with 4 and names the entry; a head that was noted elsewhere is asked for too."""
    typed("account", "add", "ann")
    head = typed("audit", "head").strip()
    assert "whole" in typed("audit", "verify", "--head", head)
    with sqlite3.connect(tmp_path / ".bedplate" / "catalog.db") as raw:
        raw.execute("UPDATE audit SET actor = 'eve' WHERE id = 2")
    found = json.loads(typed("audit", "verify", "--json", exit_code=4))
    assert (found["whole"], found["findings"][0]["entry"]) == (False, 2)
    with pytest.raises(UserError, match="not a head"):
        typed("audit", "verify", "--head", "{}")


def test_names_with_line_breaks_and_escapes_stay_on_their_line(up: Up, typed: Typed) -> None:
    """What clients name things cannot write a line of the log, nor colour the terminal (LI-01)."""
    forged = "a\r\n2026-01-01 root grant ok \x1b]8;;http://evil\x07"
    assert up.ask("POST", f"{API}/experiments/create", {"name": forged}).status in (200, 400)
    up.catalog.audit.add("ann", "experiment.create", forged, up.catalog.database.clock.now())
    shown = typed("audit", "list")
    assert "\x1b" not in shown
    assert not any(line.startswith("2026-01-01 root") for line in shown.splitlines())
    assert r"a\r\n2026-01-01 root grant ok" in shown


def test_a_login_keeps_a_token_for_its_owner_alone(up: Up, typed: Typed, tmp_path: Path) -> None:
    """By a token or by name and password; shown for clients; forgotten, it is revoked."""
    typed("account", "add", "ann", "--password", says=f"{GOOD}\n")
    assert told(typed, "login", up.url, "--user", "ann", says=f"{GOOD}\n") == {"url": up.url, "account": "ann"}
    kept = tmp_path / "config" / "bedplate" / "logins.json"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept.parent)] == [0o600, 0o700]
    token = typed("login", up.url, "--show").strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert up.nobody("GET", "/api/bedplate/me", headers=headers).json["account"] == "ann"
    assert told(typed, "login", up.url, "--forget")["revoked"]
    assert up.nobody("GET", "/api/bedplate/me", headers=headers).status == 401
    assert told(typed, "login", up.url, says=f"{up.token}\n")["account"] == "admin"
    with pytest.raises(UserError, match="does not let you in"):
        typed("login", up.url, "--user", "ann", says="wrong\n")
    with pytest.raises(UserError, match="it knows no such token"):
        typed("login", up.url, says="bpt_wrong\n")
    with pytest.raises(WorldError, match="see that it runs there"):
        typed("login", "http://127.0.0.1:1", says="x\n")
    with pytest.raises(Refused, match="not logged in"):
        typed("login", "http://bedplate.example.com")


def test_where_there_is_no_state_none_is_made(tmp_path: Path, typed: Typed) -> None:
    """Who only asks leaves nothing behind."""
    for words in (("account", "list"), ("token", "list"), ("audit", "verify")):
        with pytest.raises(UserError, match="no accounts here"):
            typed(*words)
    assert list(tmp_path.iterdir()) == []


def test_nothing_secret_reaches_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In headers, queries and bodies: refused, or answered by a mistake of the server's own (LI-03)."""
    with in_thread(tmp_path) as up:
        secrets = [up.token, "Pw-hunter2-plover-quartz", "s3cr3t-in-a-query", "k-s3://key:word@host", "cookie-0123456789abcdef"]
        with up.catalog.database as raw:  # type: ignore[attr-defined]  # SQLite: a table is taken away, so that the server makes a mistake
            raw.execute("ALTER TABLE experiments RENAME TO gone")
        for path in (
            f"{API}/experiments/get?experiment_id=0&token={secrets[2]}",
            f"{API}/experiments/get-by-name?experiment_name={secrets[3]}",
        ):
            answer = up.ask("GET", path, headers={"Cookie": f"bedplate_session={secrets[4]}"})
            assert answer.status in (404, 500, 503)
            assert not any(secret in answer.body.decode() for secret in secrets)
        assert up.nobody("POST", "/login", {"username": "admin", "password": secrets[1]}).status == 401
        assert up.nobody("GET", f"/api/bedplate/me?token={secrets[2]}").status == 401
        assert up.nobody("POST", "/login", secrets[1].encode(), {"Content-Type": "application/json"}).status == 400
        entries = str([*up.catalog.audit.entries()])
        with up.catalog.database as raw:  # type: ignore[attr-defined]  # and put back
            raw.execute("ALTER TABLE gone RENAME TO experiments")
    out, err = capfd.readouterr()
    assert [secret for secret in secrets if secret in out + err + entries] == []

"""The life of `bedplate up`: ready in a line, one token, work in flight finished, answers that were lost told again, two on one state."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from up_site import API, Line, as_process, in_thread

PROJECT = """
from bedplate import Project

project = Project("fleet")


@project.step(every="1 h")
def counted() -> int:
    return 7


@project.service
def doubled(number: float) -> float:
    return 2 * number
"""


def bedplate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_when_it_is_ready_and_keeps_one_token_for_its_owner(tmp_path: Path) -> None:
    """No project is needed. The token is the same at the next start, nobody else may read it, and the server is small and soon there."""
    began = time.monotonic()
    with as_process(tmp_path) as first:
        took_s, process = time.monotonic() - began, psutil.Process(first.process.pid)
        cpu_s, rss = sum(process.cpu_times()[:2]), process.memory_info().rss
        assert first.ask("POST", f"{API}/experiments/search", {"max_results": 5}).status == 200
        kept = tmp_path / ".bedplate" / "token"
        assert kept.read_text().strip() == first.token
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
        assert first.said["new"]
    assert first.process.returncode == 0
    with as_process(tmp_path) as second:
        assert (second.token, second.said["new"]) == (first.token, False)
    assert rss < 100 << 20
    assert cpu_s < 2
    assert took_s < 10, "on a busy machine; alone it is under two seconds"


def says(folder: Path) -> str:
    """What `bedplate up` shows to people until it says how to stop it."""
    command = [sys.executable, "-m", "bedplate", "up", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        process.terminate()
    return "".join(lines)


def test_a_person_is_told_the_token_once_and_never_to_read_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The line for clients can be pasted into a shell; where no token is kept, it says how to make one."""
    first, kept = says(tmp_path), tmp_path / ".bedplate" / "token"
    assert kept.read_text().strip() in first
    assert f"MLFLOW_TRACKING_TOKEN=$(cat {kept})" in first
    second = says(tmp_path)
    assert kept.read_text().strip() not in second
    assert f"$(cat {kept})" in second
    kept.unlink()
    third = says(tmp_path)
    assert "$(cat" not in third
    assert "bedplate token new NAME makes one" in third


def test_two_states_have_two_tokens_and_neither_is_good_for_the_other(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with as_process(tmp_path / "a") as one, as_process(tmp_path / "b") as other:
        assert one.token != other.token
        assert len(one.token) > 60
        with Line(one.url, other.token) as line:
            assert line.ask("POST", f"{API}/experiments/search", {"max_results": 1}).status == 401


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_what_was_acknowledged(tmp_path: Path, number: int) -> None:
    """Eight clients log when it comes: every answer that said 200 is in the record, none is there twice."""
    acknowledged: list[tuple[str, int]] = []

    def log(run: str, key: str, url: str, token: str) -> None:
        line = Line(url, token)
        for step in range(100_000):
            try:
                answer = line.ask(
                    "POST", f"{API}/runs/log-metric", {"run_id": run, "key": key, "value": 1, "timestamp": step, "step": step}
                )
            except OSError:
                break
            if answer.status != 200:
                break
            acknowledged.append((key, step))
        line.drop()

    with as_process(tmp_path) as up:
        with up.line() as line:
            run = line.new_run()
        clients = [threading.Thread(target=log, args=(run, f"m{one}", up.url, up.token)) for one in range(8)]
        for client in clients:
            client.start()
        time.sleep(1.0)
        up.process.send_signal(number)
        assert up.process.wait(30) == 0
        for client in clients:
            client.join(30)
    assert len(acknowledged) > 8
    with as_process(tmp_path) as up:
        found = set()
        for one in range(8):
            answer = up.ask("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=m{one}&max_results=25000")
            points = [(f"m{one}", int(point["step"])) for point in answer.json.get("metrics", [])]
            assert len(points) == len(set(points))
            found |= set(points)
    assert set(acknowledged) <= found


def test_a_run_whose_answer_was_lost_is_not_made_twice(tmp_path: Path) -> None:
    """Also over a kill -9: the same body on another connection gets the same run, until its answer was taken."""
    body = {"experiment_id": "0", "start_time": 1_700_000_000_000, "run_name": "once"}
    with as_process(tmp_path) as up:
        lost = up.line()
        made = lost.new_run(**body)
        lost.drop()
        again = up.line()
        assert again.new_run(**body) == made
        again.drop()
        os.kill(up.process.pid, signal.SIGKILL)
        up.process.wait(10)
    with as_process(tmp_path) as up:
        after = up.line()
        assert after.new_run(**body) == made
        other = after.new_run(**body)
        assert other != made, "on one connection: the answer was taken, so this is another run"
        unsaid = {"experiment_id": "0", "run_name": "untimed"}
        assert after.new_run(**unsaid) != after.new_run(**unsaid)
        after.drop()


def test_two_clients_that_make_a_run_at_one_moment_have_two(tmp_path: Path) -> None:
    body = {"start_time": 1_700_000_000_000, "run_name": "twins"}
    with in_thread(tmp_path) as up:
        lines, made = [up.line() for _ in range(8)], []
        clients = [threading.Thread(target=lambda line=line: made.append(line.new_run(**body))) for line in lines]
        for client in clients:
            client.start()
        for client in clients:
            client.join(30)
        for line in lines:
            line.drop()
    assert len(set(made)) == 8


def test_two_servers_stand_on_one_state(tmp_path: Path) -> None:
    """What one is told, the other answers; a token of the state is good at both."""
    with as_process(tmp_path) as one, as_process(tmp_path) as other:
        with one.line() as line:
            run = line.new_run(run_name="shared")
        assert other.ask("POST", f"{API}/runs/log-metric", {"run_id": run, "key": "m", "value": 2.5, "timestamp": 1}).status == 200
        told = one.ask("GET", f"{API}/runs/get?run_id={run}").json["run"]["data"]["metrics"]
        assert [(point["key"], point["value"]) for point in told] == [("m", 2.5)]


def test_a_project_has_its_due_work_done_its_services_answered_and_its_server_shown(tmp_path: Path) -> None:
    """The child is told of in lines, comes back when it is killed, and ends with the server."""
    (tmp_path / "fleet.py").write_text(PROJECT)
    with as_process(tmp_path, "--serve") as up:
        lines: list[str] = []
        assert up.process.stdout is not None
        hearing = threading.Thread(target=lambda: lines.extend(up.process.stdout or ()))
        hearing.start()
        assert up.ask("POST", "/services/doubled", {"number": 21}).json["result"] == 42
        assert up.ask("GET", "/services/health/live").status == 200
        with Line(up.url) as nobody:
            assert nobody.ask("POST", "/services/doubled", {"number": 21}).status == 401
        assert up.ask("GET", "/services/docs").status == 200
        seen = [up.ask("GET", path, headers={"accept": "text/html"}) for path in ("/services", "/services/", "/services/doubled")]
        assert [one.headers["location"] for one in seen] == ["/services/", "docs", "docs#doubled"]
        assert f"bedplate up at {up.url}" in bedplate(tmp_path, "status").stdout
        child = wait_for(lambda: [one for one in psutil.Process(up.process.pid).children() if "run" in one.cmdline()])[0]
        wait_for(lambda: any('"due.' in said or '"kind":"due' in said for said in lines))
        child.kill()
        again = wait_for(
            lambda: [one for one in psutil.Process(up.process.pid).children() if "run" in one.cmdline() and one.pid != child.pid]
        )[0]
    hearing.join(10)
    assert not psutil.pid_exists(again.pid)
    assert any("started again" in said for said in lines)
    assert all(json.loads(said) for said in lines)
    assert "bedplate up at" not in bedplate(tmp_path, "status").stdout


def test_the_projects_experiment_is_nobody_elses(tmp_path: Path) -> None:
    """It is there before anybody can make one of its name, and be its maintainer."""
    (tmp_path / "fleet.py").write_text(PROJECT)
    with as_process(tmp_path, "--no-due") as up:
        answer = up.ask("POST", f"{API}/experiments/create", {"name": "fleet"})
    assert (answer.status, answer.json["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


def test_a_state_that_is_named_is_that_of_services_and_due_work_too(tmp_path: Path) -> None:
    """Nothing is made in the project's own folder."""
    home, state = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    (home / "fleet.py").write_text(PROJECT)
    with as_process(home, "--serve", "--state", str(state), "--store", str(tmp_path / "bytes")) as up:
        assert up.ask("POST", "/services/doubled", {"number": 1.5}).json["result"] == 3
        assert (state / "catalog.db").exists()
        wait_for(lambda: list((tmp_path / "bytes").rglob("*")))
        done = f"{API}/runs/search", {"experiment_ids": ["0", "1"], "max_results": 5}
        wait_for(lambda: any(one["info"]["status"] == "FINISHED" for one in up.ask("POST", *done).json.get("runs", [])))
    assert not (home / ".bedplate").exists()


def test_a_server_that_was_killed_is_off_the_list_once_another_starts(tmp_path: Path) -> None:
    with as_process(tmp_path) as killed:
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait(10)
    (tmp_path / "fleet.py").write_text(PROJECT)
    with as_process(tmp_path, "--no-due") as up:
        said = bedplate(tmp_path, "status").stdout
        assert up.url in said
        assert killed.url not in said


def test_a_child_does_not_outlive_a_server_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "fleet.py").write_text(PROJECT)
    with as_process(tmp_path) as up:
        child = wait_for(lambda: [one for one in psutil.Process(up.process.pid).children() if "run" in one.cmdline()])[0]
        os.kill(up.process.pid, signal.SIGKILL)
        up.process.wait(10)
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_without_a_project_there_is_nothing_to_serve_and_beyond_the_machine_tls_is_needed(tmp_path: Path) -> None:
    serve = bedplate(tmp_path, "up", "--serve", "--port", "0")
    assert (serve.returncode, "no project file" in serve.stderr) == (2, True)
    beyond = bedplate(tmp_path, "up", "--host", "0.0.0.0", "--port", "0")
    assert (beyond.returncode, "without TLS is refused" in beyond.stderr) == (5, True)
    assert not (tmp_path / ".bedplate").exists(), "nothing was made"


def wait_for(look: Callable[[], Any], most_s: float = 30.0) -> Any:
    """What `look` finds once it finds something."""
    started = time.monotonic()
    while time.monotonic() - started < most_s:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about")

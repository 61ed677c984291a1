"""The worker's half: what a function receives, what becomes of what it returns or raises, and what is never written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedplate.core.errors import UserError
from bedplate.core.records import Task

SECRET = """
@p.step
def asked(api_token: Secret, context: Context) -> int:
    print(api_token)
    context.param("token", str(api_token))
    return len(api_token.reveal())

@p.step
def broken(api_token: Secret) -> int:
    raise ValueError(f"401 from https://host/?token={api_token.reveal()}")
"""


def everything_written(folder: Path) -> bytes:
    """Every byte of the state folder, the database's pages included."""
    return b"".join(path.read_bytes() for path in (folder / ".bedplate").rglob("*") if path.is_file())


def test_a_secret_reaches_no_task_record_log_or_message(
    house: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even where a library puts it into its error."""
    monkeypatch.setenv("API_TOKEN", "hush-hush-4711")
    summary = house.run(SECRET)
    assert house.open()["asked"].load() == 14
    assert summary.failures == {"broken": "ValueError: 401 from https://host/?token=****"}
    assert b"hush-hush-4711" not in everything_written(house.folder)
    assert b"hush-hush-4711" not in msgspec.json.encode([house.tasks, house.said, summary, house.open().plan()])
    assert "hush-hush-4711" not in capsys.readouterr().out


def test_a_secret_changes_no_key(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewed token re-runs nothing."""
    text = SECRET.split("@p.step\ndef broken", maxsplit=1)[0]
    monkeypatch.setenv("API_TOKEN", "one")
    house.run(text)
    monkeypatch.setenv("API_TOKEN", "another")
    assert house.steps(house.run(text)) == {"asked": "skipped"}


def test_a_secret_that_is_not_set_is_the_user_s_mistake_with_the_next_command(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    summary = house.run(SECRET, "asked")
    assert "the secret 'api_token' is not set" in summary.failures["asked"]
    assert "export API_TOKEN=..." in summary.failures["asked"]


def test_an_absent_champion_is_a_false_model_and_an_optional_one_is_none(house: Any) -> None:
    text = """
    @p.train
    def late() -> Model:
        return Model.of(predict, {"w": 1.0}, example=[{"x": 1.0}])

    def predict(params: dict, columns: dict) -> object:
        return columns["x"]

    @p.step
    def seen(late: Model, champion: Model = use("late@production"), other: Model | None = use("late@other")) -> list[str]:
        return [late.ref, str(bool(champion)), repr(other)]
    """
    assert house.run(text).ok
    assert house.open()["seen"].load() == ["late@1", "False", "None"]


@pytest.mark.parametrize(
    ("body", "cause", "message"),
    [
        ('return "text"', "user", "a returned a builtins.str for 'a', which is declared a check"),
        ("return None", "user", "a returned nothing (None) for 'a', which is declared a check"),
        ("return Check()", "user", "a returned a Check without findings"),
        ("raise MemoryError", "memory", "the process ran out of memory"),
        ("raise KeyError('carrier')", "code", "KeyError: 'carrier'"),
        ("context.artifact('nowhere.png'); return Check.at_least('n', 1, 0)", "user", "there is no file nowhere.png"),
        ("raise SystemExit(3)", "code", "SystemExit: 3"),
    ],
)
def test_every_failure_is_an_outcome_that_names_its_cause(house: Any, body: str, cause: str, message: str) -> None:
    summary = house.run(f"@p.check\ndef a(context: Context) -> Check:\n    {body}\n")
    assert message in summary.failures["a"]
    [attempt] = house.open().catalog.runs.attempts(summary.run.id, "a")
    assert attempt.cause == cause


def test_a_kept_file_s_bytes_are_in_the_store_and_its_digest_in_the_record(house: Any) -> None:
    text = f"""
    @p.step
    def a(context: Context) -> int:
        path = {str(house.folder / "plot.svg")!r}
        with open(path, "w") as file:
            file.write("<svg/>")
        context.artifact(path)
        return 1
    """
    summary = house.run(text)
    [digest] = house.open().catalog.runs.files(summary.versions["a"].attempt).values()
    assert digest.startswith("sha256:")
    blob = house.folder / ".bedplate/store/blobs/sha256" / digest[7:9] / digest[7:]
    assert blob.read_text() == "<svg/>"


def test_a_step_edited_while_the_run_goes_on_is_not_recorded_as_the_code_before(house: Any) -> None:
    """The worker loads the file anew and finds other code than was keyed: that step fails, and the next run makes it."""
    text = "@p.step\ndef a() -> int:\n    return 1\n\n@p.step\ndef b(a: int) -> int:\n    return a + 1\n"
    workspace = house.open(text)
    first = house.loaded
    house.worker_loads = lambda: house.open(text.replace("a + 1", "a + 2")).parts.loaded
    summary = workspace.run()
    assert house.steps(summary) == {"a": "done", "b": "failed"}
    assert "b was edited while the run was going on" in summary.failures["b"]
    assert first is not house.loaded
    house.worker_loads = None
    assert house.run().ok
    assert house.open()["b"].load() == 3


def test_a_comment_written_while_the_run_goes_on_stops_nothing(house: Any) -> None:
    text = "@p.step\ndef a() -> int:\n    return 1\n"
    workspace = house.open(text)
    house.worker_loads = lambda: house.open(f"# a note\n{text}").parts.loaded
    assert workspace.run().ok


def test_the_deadline_and_seed_of_a_step_are_told(house: Any) -> None:
    text = """
    @p.step(time="10 min")
    def a(context: Context) -> list[str]:
        return [str(context.deadline), str(context.seed), context.step]
    """
    house.run(text)
    [task] = house.tasks
    assert isinstance(task, Task)
    assert house.open()["a"].load() == ["2026-01-31 07:10:01.125000+00:00", str(task.seed), "a"]


def test_a_step_that_changes_folder_or_environment_does_so_for_itself_only(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    there = Path.cwd()
    summary = house.run(
        """
        @p.step
        def wanders() -> str:
            os.chdir("/")
            os.environ["LEFT"] = "1"
            del os.environ["KEPT"]
            return os.getcwd()

        @p.step
        def after(wanders: str) -> list[str]:
            return [name for name in ("LEFT", "KEPT") if name in os.environ]
        """
    )
    assert summary.versions["wanders"].value == '"/"'
    assert summary.versions["after"].value == '["KEPT"]'
    assert Path.cwd() == there


def test_a_helper_imported_by_a_step_and_edited_since_the_plan_is_not_recorded_as_before(house: Any) -> None:
    """The step imports it when it is called, so that it runs the new one; a comment in it is no difference."""
    text = "@p.step\ndef a() -> int:\n    return 1\n\n@p.step\ndef b(a: int) -> int:\n    import lazyhelp\n    return a + lazyhelp.K\n"
    helper = house.folder / "lazyhelp.py"
    workspace = house.open(text, lazyhelp="K = 10\n")
    house.before = lambda task: helper.write_text("K = 2000\n") and None
    summary = workspace.run()
    assert house.steps(summary) == {"a": "done", "b": "failed"}
    assert "b was edited while the run was going on (lazyhelp.py)" in summary.failures["b"]
    house.before = lambda task: helper.write_text("K = 2000  # dollars\n") and None
    assert house.open(text, lazyhelp="K = 2000\n").run().ok
    assert house.open()["b"].load() == 2001


def test_a_helper_edited_between_two_runs_of_one_workspace_asks_for_opening_it_again(house: Any) -> None:
    text = "@p.step\ndef b() -> int:\n    import lazyhelp\n    return lazyhelp.K\n"
    workspace = house.open(text, lazyhelp="K = 10\n")
    workspace.run()
    (house.folder / "lazyhelp.py").write_text("K = 2000\n")
    with pytest.raises(UserError, match=r"lazyhelp\.py changed since the project was opened"):
        workspace.run()


def test_a_file_that_changes_while_it_is_read_is_not_recorded_under_its_old_fingerprint(house: Any) -> None:
    data = house.folder / "data.txt"
    data.write_text("1")
    text = "from pathlib import Path\n\n@p.ingest\ndef a(source: Files = Files('data.txt')) -> int:\n"
    text += "    return int(Path(source.paths[0]).read_text())\n"
    house.before = lambda task: data.write_text("999") and None
    summary = house.run(text)
    assert "data.txt changed while a was reading it" in summary.failures["a"]
    house.before = lambda task: None
    assert house.run().ok
    assert house.open()["a"].load() == 999


def test_an_import_that_nobody_could_follow_is_told(house: Any) -> None:
    """With the line that imports, and with the file that came of it."""
    text = "import importlib\n\n@p.step\ndef a() -> int:\n    return importlib.import_module('_'.join(['ours', 'odd'])).K\n"
    house.open(text, ours_odd="K = 1\n")
    assert house.run().ok
    told = house.told("step.warned")
    assert [line.partition(" ")[0] for line in told] == ["opened", "flow.py:9"]
    assert "ours_odd.py, which is not one of its inputs" in told[0]
    assert "an edit of that module is not noticed" in told[1]


def test_every_step_of_a_run_is_compared_with_what_was_planned(house: Any) -> None:
    """One that was refused leaves the plan of the next as it is."""
    step = "@p.step\ndef {0}() -> int:\n    import lazyhelp\n    return lazyhelp.{0}\n\n"
    helper = house.folder / "lazyhelp.py"
    workspace = house.open(step.format("a") + step.format("b"), lazyhelp="a = 1\nb = 1\n")
    house.together = False
    house.before = lambda task: helper.write_text("a = 22\nb = 22\n") and None
    summary = workspace.run()
    assert house.steps(summary) == {"a": "failed", "b": "failed"}

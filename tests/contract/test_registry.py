"""The registry, logged models and clients' files on both engines: what each promises, and what each refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking import grammar
from bedplate.catalog.tracking.files import ClientFile, Frozen, Full, Listed, Parted
from bedplate.catalog.tracking.logged import LOGGED, LoggedModel, On, Ordered
from bedplate.catalog.tracking.logged import Asked as AskedLogged
from bedplate.catalog.tracking.registered import ModelVersion, Registration
from bedplate.catalog.tracking.registry_search import MODELS, VERSIONS, Asked
from bedplate.catalog.tracking.runs import Batch, NewRun
from bedplate.catalog.tracking.tracked import Named, Point
from bedplate.core.client_paths import Place
from bedplate.core.errors import NotFound, Refused, UserError
from bedplate.core.records import Draft, Promotion
from bedplate.testing.clock import ManualClock
from bedplate.testing.records import History

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "a" * 32


@pytest.fixture(params=["sqlite", "postgres"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    if request.param == "sqlite":
        database = open_database(tmp_path / "catalog.db")
    else:
        postgres = pytest.importorskip("bedplate.catalog.backends.postgres", reason="psycopg is not installed")
        name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
        database = postgres.open_url(f"{request.getfixturevalue('postgres_url')}?schema=r{name}")
    found = Catalog.open(database, ManualClock())
    found.tracking.runs.create(NewRun(id=RUN, experiment=0, started_ms=1, random=1))
    yield found
    found.close()


def sent(name: str, content: str = "x") -> Draft:
    """A draft of a folder whose content this stands for."""
    digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    return Draft(artifact=name, kind="model", digest=digest, uri="", schema="{}", meta={"origin": "client"})


def registered(catalog: Catalog, name: str, content: str = "x", run: str = RUN, at_ms: int = 10, **more: str) -> ModelVersion:
    """A version that a client registers."""
    asked = Registration(draft=sent(name, content), source="runs:/x", made_by="ann", attempt=f"{at_ms:032x}", run=run, **more)
    return catalog.together(lambda: catalog.tracking.registry.register(asked, at_ms))


def at(path: str = "", run: str = RUN) -> Place:
    return Place(owner="run", id=run, path=path)


def file(path: str, size: int = 3, content: str = "x") -> ClientFile:
    return ClientFile(path=path, sha256=hashlib.sha256(content.encode()).hexdigest(), size=size, changed_ms=5)


def test_a_model_is_made_described_tagged_found_and_deleted(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1, said="who leaves", tags=[Named("team", "sky")])
    with pytest.raises(Refused, match="already exists"):
        registry.create("churn", 2)
    registry.set_tag("churn", 0, Named("team", "sea"), 3)
    assert registry.describe("churn", "who stays", 4).tags == (Named("team", "sea"),)
    assert (registry.get("churn").description, registry.get("churn").updated_ms) == ("who stays", 4)
    registry.delete("churn", 5)
    with pytest.raises(NotFound):
        registry.get("churn")
    assert registry.create("churn", 6).tags == ()


@pytest.mark.bad_input
@pytest.mark.parametrize("name", ["", " ", "..", "../../x", "/etc/cron.d/bp", "a:b", "a@b", "a\\b", "a\nb", "x" * 251, " a"])
def test_a_name_that_could_lead_elsewhere_is_refused(catalog: Catalog, name: str) -> None:
    """PT-17: a model's name is never a place."""
    with pytest.raises(UserError):
        catalog.tracking.registry.create(name, 1)


def test_equal_bytes_registered_twice_are_two_versions_of_their_runs(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1)
    first, second = registered(catalog, "churn"), registered(catalog, "churn", run="")
    assert (first.number, second.number, first.digest == second.digest) == (1, 2, True)
    assert [one.ref for one in catalog.artifacts.by_attempt(RUN)] == ["churn@1"]
    assert catalog.artifacts.get("churn").number == 2  # the head of what only clients made
    assert catalog.artifacts.get(f"churn@{first.digest}").number == 2
    assert {one.ref for one in catalog.artifacts.referenced()} == {"churn@1", "churn@2"}


def test_an_alias_is_a_person_s_promotion_until_it_is_taken_away(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1)
    registered(catalog, "churn"), registered(catalog, "churn", "y", run="", at_ms=11)
    stamp = catalog.stamp()
    moved = registry.set_alias("churn", "best", 1, "ann", NOW)
    assert (moved.by, moved.reason, catalog.models.alias("churn", "best")) == ("person", "set by ann", 1)
    assert catalog.stamp() > stamp
    registry.set_alias("churn", "best", 1, "bob", NOW)
    assert len(catalog.models.history("churn")) == 1  # said again, nothing moves
    assert registry.by_alias("churn", "best").aliases == ("best",)
    for refused in (lambda: registry.delete_version("churn", 1, 5), lambda: registry.delete("churn", 5)):
        with pytest.raises(Refused, match="alias"):
            refused()
    registry.drop_alias("churn", "best", "ann", NOW)
    assert catalog.models.aliases("churn") == {}
    assert catalog.artifacts.find("churn@best") is None
    with pytest.raises(UserError):
        registry.by_alias("churn", "best")
    assert [(one.alias, one.version, one.actor) for one in catalog.models.withdrawn("churn")] == [("best", 1, "ann")]
    registry.set_alias("churn", "best", 2, "ann", NOW)
    assert catalog.models.aliases("churn") == {"best": 2}


def test_who_moved_an_alias_and_why_is_kept_with_the_move(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1)
    registered(catalog, "churn"), registered(catalog, "churn", "y", run="", at_ms=11)
    assert catalog.models.rollback_to("churn", "best") is None
    registry.set_alias("churn", "best", 1, "ann", NOW)
    registry.set_alias("churn", "best", 2, "bob", NOW, "fresher")
    assert catalog.models.rollback_to("churn", "best") == 1
    catalog.models.rollback("churn", "best", NOW, "it fails", "ann")
    told = [(one.by, one.actor, one.reason) for one in catalog.models.history("churn")]
    assert told == [("person", "ann", "set by ann"), ("person", "bob", "fresher"), ("rollback", "ann", "it fails")]


@pytest.mark.bad_input
@pytest.mark.parametrize("alias", ["", "7", "v7", "latest", "a b", "a/b", "x" * 300])
def test_an_alias_that_reads_as_a_version_is_refused(catalog: Catalog, alias: str) -> None:
    catalog.tracking.registry.create("churn", 1)
    registered(catalog, "churn")
    with pytest.raises(UserError):
        catalog.tracking.registry.set_alias("churn", alias, 1, "ann", NOW)


def test_a_deleted_version_keeps_its_number_and_gives_its_bytes_back(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1)
    registered(catalog, "churn"), registered(catalog, "churn", "y", run="")
    registry.delete_version("churn", 2, 5)
    assert {one.ref for one in catalog.artifacts.referenced()} == {"churn@1"}
    assert catalog.artifacts.get("churn").number == 1
    with pytest.raises(NotFound):
        registry.version("churn", 2)
    with pytest.raises(NotFound):
        catalog.models.promote(Promotion(model="churn", alias="a", version=2, by="person", at=NOW))
    assert registered(catalog, "churn", "z", run="", at_ms=12).number == 3


def test_a_model_goes_by_its_new_name_with_all_that_is_known_of_it(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1, tags=[Named("a", "b")])
    registered(catalog, "churn")
    registry.set_alias("churn", "best", 1, "ann", NOW)
    catalog.together(lambda: registry.rename("churn", "leavers", 9))
    assert (registry.get("leavers").aliases, registry.get("leavers").tags) == ({"best": 1}, (Named("a", "b"),))
    assert [one.ref for one in catalog.artifacts.by_attempt(RUN)] == ["leavers@1"]
    assert not registry.exists("churn")
    registry.create("churn", 10)
    with pytest.raises(Refused):
        catalog.together(lambda: registry.rename("churn", "leavers", 11))


def test_what_the_project_made_stands_there_with_its_verdicts_and_is_not_deleted(catalog: Catalog) -> None:
    history = History(catalog, ManualClock())
    made = history.make("late", 1, "model")
    catalog.commit([history.judge(made, passed=False)])
    registry = catalog.tracking.registry
    version = registry.version("late", made.number)
    assert (version.origin, version.run, version.serving_stage) == ("project", made.attempt, "None")
    assert version.tags == (Named("bedplate.check.better", "did not pass"),)
    for refused in (
        lambda: registry.delete_version("late", 1, 5),
        lambda: registry.delete("late", 5),
        lambda: registry.rename("late", "x", 5),
    ):
        with pytest.raises(Refused, match="project"):
            refused()
    registered(catalog, "late", "other", run="")
    head = catalog.artifacts.head("late")
    assert head is not None
    assert head.number == 1  # a client's version never moves the head of what the project makes


def test_stages_of_the_old_kind_are_kept(catalog: Catalog) -> None:
    registry = catalog.tracking.registry
    registry.create("churn", 1)
    registered(catalog, "churn"), registered(catalog, "churn", "y", run="")
    registry.transition("churn", 1, "Production", 5)
    registry.transition("churn", 2, "Production", 6, archive=True)
    assert [(one.number, one.serving_stage) for one in registry.latest("churn")] == [(2, "Production"), (1, "Archived")]
    with pytest.raises(UserError):
        registry.transition("churn", 1, "Archived", 7, archive=True)


def test_searches_page_filter_and_order_and_show_only_what_may_be_seen(catalog: Catalog) -> None:
    registry, search = catalog.tracking.registry, catalog.tracking.registry_search
    for place, name in enumerate(("beta", "alpha", "it's")):
        registry.create(name, place, tags=[Named("team", "sky")] if name != "beta" else [])
    registry.create("prompt", 9, tags=[Named("mlflow.prompt.is_prompt", "true")])
    everything, more = search.models(Asked(limit=2))
    assert ([one.name for one in everything], bool(more)) == (["alpha", "beta"], True)
    assert [one.name for one in search.models(Asked(limit=2, token=more))[0]] == ["it's"]
    for asked, names in (
        ("name = 'it''s'", ["it's"]), ("name LIKE '%a'", ["alpha", "beta"]), ("tags.team = 'sky' AND name ILIKE 'A%'", ["alpha"]),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", ["prompt"]), ("tags.`mlflow.prompt.is_prompt` != 'true'", ["alpha", "beta", "it's"]),
        ("name = '' OR 1=1", None), ("name = 'x'' OR 1=1 --'", []),
    ):  # fmt: skip
        if names is None:
            with pytest.raises(UserError):
                grammar.clauses(asked, MODELS)
        else:
            assert [one.name for one in search.models(Asked(clauses=grammar.clauses(asked, MODELS)))[0]] == names, asked
    assert search.models(Asked(names=frozenset()))[0] == []
    assert [one.name for one in search.models(Asked(names=frozenset({"beta"})))[0]] == ["beta"]
    newest = grammar.orders(["last_updated_timestamp DESC"], MODELS)
    assert [one.name for one in search.models(Asked(orders=newest))[0]] == ["it's", "alpha", "beta"]
    for number in range(5):
        registered(catalog, "alpha", str(number), run=RUN if number else "", at_ms=100 + number)
    pages: list[int] = []
    token = ""
    while True:
        found, token = search.versions(Asked(clauses=grammar.clauses(f"run_id = '{RUN}'", VERSIONS), limit=3, token=token))
        pages += [one.number for one in found]
        if not token:
            break
    assert pages == [5, 4, 3, 2]
    with pytest.raises(UserError, match="page_token"):
        search.models(Asked(token=more[:-4] + "AAA="))


def test_files_are_written_while_their_run_goes_on_and_frozen_after(catalog: Catalog) -> None:
    files = catalog.tracking.files
    files.put(at(), file("model/MLmodel"))
    files.put(at(), file("model/data/w.bin", 5, "y"))
    assert files.listed(RUN) == [Listed(path="model", is_dir=True)]
    assert [(one.path, one.is_dir) for one in files.listed(RUN, "model")] == [("model/MLmodel", False), ("model/data", True)]
    assert files.taken(0) == 8
    for clash in ("model", "model/MLmodel/x"):
        with pytest.raises(UserError):
            files.put(at(), file(clash))
    with pytest.raises(Full):
        files.put(at(), file("big", 93, "z"), quota_bytes=100)
    with pytest.raises(NotFound):
        files.put(at(run="b" * 32), file("x"))
    catalog.tracking.runs.update(RUN, 9, status="FINISHED")
    with pytest.raises(Frozen):
        files.put(at(), file("new"))
    files.put(at(), file("model/MLmodel"))  # sent again: the same bytes
    with pytest.raises(Frozen):
        files.delete(at("model"))
    catalog.tracking.runs.update(RUN, 10, status="RUNNING")
    files.put(at(), file("new"))
    assert files.delete(at("model")) == 2
    assert [one.path for one in files.below(RUN)] == ["new"]
    assert files.taken(0) == 3


def test_deleted_runs_give_their_files_back_and_others_keep_theirs(catalog: Catalog) -> None:
    files, other = catalog.tracking.files, "c" * 32
    catalog.tracking.runs.create(NewRun(id=other, experiment=0, started_ms=1, random=2))
    files.put(at(), file("a", content="a"))
    files.put(at(run=other), file("b", content="b"))
    files.begin_parts(at(), Parted(id="u", owner=RUN, path="p", made_by="ann", parts=2, created_ms=50))
    files.put_part("u", 1, "f" * 64, 7)
    catalog.tracking.runs.delete(RUN, 100)
    mine, theirs = (hashlib.sha256(one).hexdigest() for one in (b"a", b"b"))
    assert files.digests(100) == {mine, theirs}
    assert files.digests(40) == {mine, theirs, "f" * 64}
    assert files.digests(101) == {theirs}
    assert files.forget(100) == 0
    assert files.forget(101) == 1
    assert (files.below(RUN), files.taken(0), files.parted("u")) == ([], 3, None)


@pytest.mark.bad_input
def test_parts_that_an_upload_does_not_have_are_refused(catalog: Catalog) -> None:
    files = catalog.tracking.files
    with pytest.raises(UserError):
        files.begin_parts(at(), Parted(id="u", owner=RUN, path="p", made_by="ann", parts=10_001, created_ms=1))
    files.begin_parts(at(), Parted(id="u", owner=RUN, path="p", made_by="ann", parts=2, created_ms=1))
    with pytest.raises(UserError):
        files.put_part("u", 3, "f" * 64, 1)
    with pytest.raises(NotFound):
        files.put_part("v", 1, "f" * 64, 1)


def test_logged_models_are_found_by_what_was_measured_of_them(catalog: Catalog) -> None:
    logged = catalog.tracking.logged
    for place, score in enumerate((0.5, 0.9, float("nan"))):
        logged.create(
            LoggedModel(
                id=f"m-{place}", experiment=0, name="net", model_type="", run=RUN, status="LOGGED_MODEL_PENDING", message="",
                created_ms=place,
                updated_ms=place, params=(Named("depth", str(place)),), tags=(Named("a b", "c"),),
            )
        )  # fmt: skip
        points = (Point("auc", 0.1, 1, 0, f"m-{place}"), Point("auc", score, 2, 1, f"m-{place}", "rows", "d1"))
        catalog.tracking.runs.log(RUN, Batch(metrics=points))
    logged.create(
        LoggedModel(
            id="m-9",
            experiment=0,
            name="none",
            model_type="",
            run="",
            status="LOGGED_MODEL_PENDING",
            message="",
            created_ms=9,
            updated_ms=9,
        )
    )

    def ids(
        asked: str = "", orders: tuple[Ordered, ...] = (), datasets: tuple[On, ...] = (), limit: int = 10, token: str = ""
    ) -> list[str]:
        clauses = grammar.clauses(asked, LOGGED)
        question = AskedLogged(experiments=(0,), clauses=clauses, orders=orders, datasets=datasets, limit=limit, token=token)
        return [one.id for one in logged.page(question)[0]]

    assert ids() == ["m-9", "m-2", "m-1", "m-0"]
    assert ids("metrics.auc > 0.4") == ["m-1", "m-0"]
    assert ids("params.depth = '2' AND tags.`a b` = 'c' AND name LIKE 'n%'") == ["m-2"]
    assert ids("metrics.auc < 0.2", datasets=(On(name="rows"),)) == []
    (by_score,) = grammar.orders(["metrics.auc DESC"], LOGGED)
    assert ids(orders=(Ordered(order=by_score, on=On(name="rows", digest="d1")),)) == ["m-1", "m-0", "m-9", "m-2"]
    assert logged.finish("m-1", "LOGGED_MODEL_READY", 20).status == "LOGGED_MODEL_READY"
    with pytest.raises(UserError):
        logged.add_params("m-1", [Named("depth", "7")], 21)
    assert [(one.key, one.value) for one in logged.get("m-2").metrics if one.dataset_name] == [("auc", "NaN")]
    logged.delete("m-1", 30)
    assert ids("metrics.auc > 0.4") == ["m-0"]
    with pytest.raises(NotFound):
        logged.get("m-1")

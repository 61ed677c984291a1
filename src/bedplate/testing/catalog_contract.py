"""What every Database owes the Catalog. Subclass `CatalogContract` in a test file and give it `make`.

    class TestMyCatalog(CatalogContract):
        def make(self, folder: Path) -> Database:
            return MyDatabase(...)

Covered: what one process, and two connections to one record, can see. Not covered: many processes, kills, a damaged or full disk; those
tests stand beside the engine that can suffer them. Needs pytest.
"""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.export import TABLES, export
from bedplate.catalog.services import ROUTER, Replica, Service
from bedplate.core.context import Noted
from bedplate.core.errors import BusyError, NotFound, Refused, UserError
from bedplate.core.records import Event, Forecast, Lease, Promotion, Usage
from bedplate.core.sources import Entry

from .accounts_contract import AccountsContract
from .clock import ManualClock
from .due_contract import DueContract
from .listing_contract import ListingContract
from .record_contract import RecordContract
from .records import History, draft
from .tallies_contract import TalliesContract


class CatalogContract(AccountsContract, DueContract, ListingContract, TalliesContract, RecordContract):
    """Tests of one engine; each gets a fresh record."""

    @pytest.fixture
    def history(self, catalog: Catalog, clock: ManualClock) -> History:
        """A run in it."""
        return History(catalog, clock)

    # Commit

    def test_a_commit_is_seen_whole_by_another_connection(self, catalog: Catalog, history: History, tmp_path: Path) -> None:
        """Versions, heads, cache, step, attempt, sayings and offsets arrive together and equal."""
        said = (
            Noted(what="metric", name="auc", value=0.5, at_step=1), Noted(what="metric", name="auc", value=0.75, at_step=2),
            Noted(what="param", name="leaves", value=[31]), Noted(what="tag", name="team", value="sky"),
            Noted(what="file", name="plot", value="blobs/p"), Noted(what="progress", name="", value=[1, 2]),
        )  # fmt: skip
        entries = {"source": (Entry("a.csv", "data/a.csv", 3, "s"),)}
        commit = history.done("late", draft("late", 1, rows=3, meta={"x": 1}), cache_key="k", noted=said, source_entries=entries)
        (made,) = catalog.commit([commit])
        other = Catalog.open(self.make(tmp_path), history.clock)
        assert other.artifacts.heads() == {"late": made[0]}
        assert other.artifacts.by_attempt(commit.attempt.id) == made
        assert other.runs.cached("k") == commit.attempt.id
        assert other.runs.cached_many(["k", "none"]) == {"k": commit.attempt.id}
        assert other.runs.steps("r-1") == [commit.step]
        assert (other.runs.step_of(commit.attempt.id), other.runs.step_of("a-0")) == (commit.step, None)
        assert other.runs.attempts("r-1", "late") == [commit.attempt]
        assert other.runs.noted(commit.attempt.id) == said[:-1]
        assert other.runs.metrics(commit.attempt.id) == {"auc": 0.75}
        assert other.runs.params(commit.attempt.id) == {"leaves": [31]}
        assert other.runs.tags(commit.attempt.id) == {"team": "sky"}
        assert other.runs.files(commit.attempt.id) == {"plot": "blobs/p"}
        assert other.sources.entries("late", "source") == entries["source"]
        other.close()

    def test_an_equal_digest_makes_no_new_version(self, catalog: Catalog, history: History) -> None:
        """Early cut-off: the earlier version is the answer, and the head goes back to it."""
        first, second = history.make("late", 1), history.make("late", 2)
        again = history.make("late", 1)
        assert (first.number, second.number, again) == (1, 2, first)
        assert catalog.artifacts.head("late") == first
        assert [version.number for version in catalog.artifacts.versions("late")] == [2, 1]

    def test_equal_digests_of_one_batch_share_a_version(self, catalog: Catalog, history: History) -> None:
        """Within one transaction too."""
        made = catalog.commit([history.done("late", draft("late", 1)), history.done("late", draft("late", 1), draft("early", 1))])
        assert [[version.ref for version in versions] for versions in made] == [["late@1"], ["late@1", "early@1"]]

    def test_content_written_again_lies_in_its_new_place(self, catalog: Catalog, history: History) -> None:
        """The bytes of a draft are always there, those of an earlier equal one may be gone: the version names the newest."""
        catalog.commit([history.done("late", draft("late", 1, table_version=0))])
        catalog.commit([history.done("late", draft("late", 1, table_version=5))])
        assert catalog.artifacts.get("late@1").table_version == 5

    def test_a_side_version_is_not_the_head_until_a_plain_run_makes_it(self, catalog: Catalog, history: History) -> None:
        """Runs with settings of their own move neither heads, offsets nor aliases."""
        side = history.make("late", 1, "model", moves_head=False, source_entries={"s": ()})
        catalog.commit([msgspec.structs.replace(history.judge(side), moves_head=False)])
        assert (side.head, catalog.artifacts.head("late"), catalog.models.aliases("late")) == (False, None, {})
        assert len(catalog.models.verdicts("late")) == 1
        assert history.make("late", 1, "model").head
        assert catalog.artifacts.get("late").ref == "late@1"

    def test_a_commit_may_be_repeated(self, catalog: Catalog, history: History) -> None:
        """Recovery may not know whether its commit went through: twice is once."""
        commit = history.done("late", draft("late", 1), noted=(Noted(what="metric", name="m", value=1.0),))
        assert catalog.commit([commit]) == catalog.commit([commit])
        assert len(catalog.artifacts.versions("late")) == 1

    def test_a_failed_batch_leaves_nothing(self, catalog: Catalog, history: History) -> None:
        """One commit without its lease refuses the batch whole."""
        lease = Lease(name="late", holder="r-1", fence=1, expires_at=history.clock.now())
        good, late = history.done("early", draft("early", 1)), history.done("late", draft("late", 1), lease=lease)
        with pytest.raises(BusyError):
            catalog.commit([good, late])
        assert catalog.artifacts.names() == {}
        assert {attempt.status for attempt in catalog.runs.attempts("r-1")} == {"running"}

    def test_a_skip_moves_the_head_and_offsets_back(self, catalog: Catalog, history: History) -> None:
        """A cached result becomes what consumers read again, in a run that moves heads."""
        one, two = (Entry("a", "a", 1, "1"),), (Entry("a", "a", 1, "2"),)
        first = history.done("late", draft("late", 1), source_entries={"s": one})
        catalog.commit([first])
        catalog.commit([history.done("late", draft("late", 2), source_entries={"s": two})])
        skip = history.step("late", status="skipped", result=first.attempt.id)
        catalog.skip([skip], False)
        assert (catalog.artifacts.get("late").number, catalog.sources.entries("late", "s")) == (2, two)
        catalog.skip([skip], True)
        assert (catalog.artifacts.get("late").number, catalog.sources.entries("late", "s")) == (1, one)

    # References

    def test_references(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """By number, alias and the beginning of a digest; a near name is offered for one that is not there."""
        first = history.make("late", 1, "model")
        second = history.make("late", 2, "model")
        catalog.models.promote(Promotion(model="late", alias="production", version=1, by="person", at=clock.now()))
        assert [catalog.artifacts.get(ref) for ref in ("late", "late@1", "late@production")] == [second, first, first]
        assert catalog.artifacts.get(f"late@{second.digest[:15]}") == second
        for ref in ("late@9", "late@", "late@" + "9" * 30, "late@\u00b2", "", "@", "late@sha256:000000"):
            assert catalog.artifacts.find(ref) is None
        with pytest.raises(NotFound, match="did you mean 'late'"):
            catalog.artifacts.get("lote")
        with pytest.raises(NotFound, match="late@2"):
            catalog.artifacts.get("late@staging")
        with pytest.raises(UserError, match="not text"):
            catalog.artifacts.get("\udcff")
        with pytest.raises(UserError, match="too short"):
            catalog.artifacts.get("late@sha256:12")

    def test_everything_ever_named_is_referenced(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """`gc` keeps old heads, former aliases, side versions, inputs and what a server holds."""
        refs = {history.make("late", content, "model", moves_head=content % 2 == 0).ref for content in range(4)}
        catalog.models.promote(Promotion(model="late", alias="production", version=2, by="person", at=clock.now()))
        catalog.services.register(
            Service(name="s", url="u", pid=1, host="h", models={"late": 3}, started_at=clock.now(), heartbeat=clock.now())
        )
        assert {version.ref for version in catalog.artifacts.referenced()} == refs

    def test_lineage_reaches_down_to_source_files(self, catalog: Catalog, history: History) -> None:
        """Both ways over several steps, and past a version made again from other inputs."""
        raw = history.make("raw", 1, source_entries={"source": (Entry("a.csv", "a.csv", 1, "s"),)})
        clean = history.make("clean", 1, inputs={"raw": raw})
        late = history.make("late", 1, "model", inputs={"rows": clean})
        found = catalog.lineage("clean")
        assert [(edge.upstream, edge.parameter, edge.downstream) for edge in found.upstream] == [("raw@1", "raw", "clean@1")]
        assert [(edge.upstream, edge.parameter, edge.downstream) for edge in found.downstream] == [("clean@1", "rows", "late@1")]
        newer = history.make("raw", 2)
        assert history.make("clean", 1, inputs={"raw": newer}) == clean
        up = catalog.lineage(late.ref)
        assert {edge.upstream for edge in up.upstream} == {"raw@1", "raw@2", "clean@1"}
        assert [(edge.downstream, edge.entries[0].name) for edge in up.sources] == [("raw@1", "a.csv")]

    # Runs

    def test_runs_and_their_ends(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """A run comes back equal; ended ones are not running."""
        History(catalog, clock, "r-2")
        assert catalog.runs.get("r-1") == history.run
        catalog.runs.end("r-2", "done", clock.forward(5))
        assert [run.id for run in catalog.runs.running()] == ["r-1"]
        assert (catalog.runs.get("r-2").status, catalog.runs.get("r-2").ended_at) == ("done", clock.now())
        assert [run.id for run in catalog.runs.last(1)] == ["r-2"]
        with pytest.raises(NotFound, match="did you mean"):
            catalog.runs.get("r-3")

    def test_steps_are_replaced_and_the_last_good_one_is_found(self, catalog: Catalog, history: History) -> None:
        """`why` compares with the last step that ended well, not with a failed or waiting one."""
        catalog.runs.put_steps([history.step("late", status="waiting"), history.step("early", part="p", status="waiting")])
        assert catalog.runs.last_step("late") is None
        good = history.step("late", status="skipped", why="unchanged", result="a-0")
        catalog.runs.put_steps([good, history.step("early", part="p", status="failed")])
        History(catalog, history.clock, "r-2")
        catalog.runs.put_steps([msgspec.structs.replace(good, run="r-2", status="failed")])
        assert catalog.runs.last_step("late") == good
        assert catalog.runs.last_steps() == {("late", ""): good}
        assert [step.status for step in catalog.runs.steps("r-1")] == ["skipped", "failed"]

    def test_open_attempts_are_found_until_they_end(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """Recovery sees what a dead controller left, of any run."""
        attempt = history.attempt("late")
        catalog.start([history.step("late", status="running")], [attempt])
        assert catalog.runs.open_attempts() == [attempt]
        failed = msgspec.structs.replace(attempt, status="failed", cause="memory", message="too much", ended_at=clock.now())
        catalog.fail(failed, history.step("late", status="failed"), (Noted(what="metric", name="m", value=math.nan),))
        assert catalog.runs.open_attempts() == []
        assert catalog.runs.attempt(attempt.id) == failed
        assert math.isnan(catalog.runs.metrics(attempt.id)["m"])

    def test_forecasts_stand_beside_what_happened(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """Only done attempts count, newest first; the cost of a time is their sum."""
        forecast = Forecast(quantity="wall_s", middle=2.0, low=1.0, high=3.0, basis="history", samples=4)
        catalog.runs.put_forecasts("r-1", {("late", ""): (forecast,), ("early", ""): (forecast,)})
        commit = history.done("late", draft("late", 1))
        usage = Usage(wall_s=2.5, cpu_s=2.0, peak_bytes=9, energy_joules=3.0, energy_basis="assumed", cost_usd=0.25)
        catalog.commit([msgspec.structs.replace(commit, attempt=msgspec.structs.replace(commit.attempt, usage=usage))])
        assert catalog.runs.forecasts("late") == [(forecast, usage)]
        assert (catalog.runs.forecasts("early"), catalog.runs.usages("late")) == ([], [usage])
        assert (catalog.runs.cost_since(clock.now()), catalog.runs.cost_since(clock.forward(1))) == (0.25, 0.0)

    # Models

    def test_a_passed_check_promotes_once(self, catalog: Catalog, history: History) -> None:
        """The same verdict on the same version never promotes again, and the check's own version is filled in."""
        model = history.make("late", 1, "model")
        catalog.commit([history.judge(model)])
        (move,) = catalog.models.history("late", "production")
        assert (move.version, move.before, move.by, move.check, move.check_version) == (1, None, "verdict", "better", 1)
        catalog.models.promote(msgspec.structs.replace(move, version=history.make("late", 2, "model").number, by="person"))
        catalog.commit([history.judge(model)])
        assert catalog.models.alias("late", "production") == 2

    def test_a_failed_check_promotes_nothing(self, catalog: Catalog, history: History) -> None:
        """The verdict is kept all the same."""
        catalog.commit([history.judge(history.make("late", 1, "model"), passed=False)])
        assert catalog.models.aliases("late") == {}
        assert [(verdict.passed, verdict.check_version) for verdict in catalog.models.verdicts("late", 1)] == [(False, 1)]

    def test_rolled_back_stays_rolled_back_until_a_person_promotes(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """A barred version does not return by a new verdict."""
        for content in (1, 2, 3):
            catalog.commit([history.judge(history.make("late", content, "model"), content=content)])
        assert catalog.models.rollback("late", "production", clock.now(), "slow").version == 2
        catalog.commit([history.judge(catalog.artifacts.get("late@3"), content="another verdict")])
        assert (catalog.models.aliases("late"), catalog.models.barred("late")) == ({"production": 2}, {3})
        assert catalog.models.rollback("late", "production", clock.now()).version == 1
        with pytest.raises(Refused, match="nothing to roll"):
            catalog.models.rollback("late", "production", clock.now())
        move = catalog.models.promote(Promotion(model="late", alias="production", version=3, by="person", at=clock.now()))
        assert (move.before, catalog.models.barred("late")) == (1, {2})
        with pytest.raises(NotFound):
            catalog.models.promote(msgspec.structs.replace(move, version=99))

    def test_the_stamp_grows_with_heads_and_aliases_only(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """A poller need not look at anything else."""
        stamps = [catalog.stamp()]
        history.make("late", 1, "model")
        stamps.append(catalog.stamp())
        catalog.models.promote(Promotion(model="late", alias="production", version=1, by="person", at=clock.now()))
        stamps.append(catalog.stamp())
        catalog.events.add(Event(kind="k", subject="s", at=clock.now()))
        history.make("late", 1, "model")
        assert stamps == sorted(set(stamps))
        assert catalog.stamp() == stamps[-1]

    def test_who_watches_sees_that_another_connection_committed(self, catalog: Catalog, tmp_path: Path, clock: ManualClock) -> None:
        """The number is another one after a commit, whatever it was; without one it stays, or nobody could wait for it."""
        watching = self.make(tmp_path)
        try:
            before = watching.moved()
            assert watching.moved() == before
            catalog.events.add(Event(kind="k", subject="s", at=clock.now()))
            assert watching.moved() != before
        finally:
            watching.close()

    # Leases

    def test_a_lease_has_one_holder_and_a_fence_that_never_repeats(self, catalog: Catalog, clock: ManualClock) -> None:
        """Held, renewed, expired, taken, released, taken again."""
        take = catalog.leases.acquire
        first = take("late", "a", clock.now(), 10)
        assert first is not None
        assert (take("late", "b", clock.now(), 10), take("late", "a", clock.now(), 10)) == (None, first)
        (renewed,) = catalog.leases.renew([first], clock.forward(9), 10)
        assert take("late", "b", clock.forward(9), 10) is None
        second = take("late", "b", clock.forward(2), 10)
        assert second is not None
        assert (first.fence, second.fence, renewed.expires_at) == (1, 2, first.expires_at + timedelta(seconds=9))
        assert catalog.leases.renew([first], clock.now(), 10) == []
        catalog.leases.release([first])
        assert catalog.leases.holder("late") == second
        catalog.leases.release([second])
        assert (catalog.leases.holder("late"), catalog.leases.held()) == (None, [])
        third = take("late", "b", clock.now(), 10)
        assert third is not None
        assert third.fence == 3

    def test_a_lease_of_a_clock_that_was_ahead_does_not_outlast_it(self, catalog: Catalog, clock: ManualClock) -> None:
        """Its holder died when the clock was a year ahead: who asks gets it after what a lease lasts; a holder that lives keeps it."""
        take, renew = catalog.leases.acquire, catalog.leases.renew
        ahead = clock.now() + timedelta(days=365)
        dead, alive = take("late", "r-1", ahead, 10), take("early", "r-1", ahead, 10)
        assert dead is not None
        assert alive is not None
        assert (take("late", "r-2", clock.now(), 10), take("early", "r-2", clock.now(), 10)) == (None, None)
        assert len(renew([alive], clock.forward(9), 10)) == 1
        second = take("late", "r-2", clock.forward(2), 10)
        assert second is not None
        assert (second.holder, second.fence) == ("r-2", dead.fence + 1)
        assert take("early", "r-2", clock.now(), 10) is None

    def test_several_leases_are_had_all_or_none(self, catalog: Catalog, clock: ManualClock) -> None:
        """A step that makes two artifacts never holds only one."""
        catalog.leases.acquire("b", "other", clock.now(), 10)
        assert catalog.leases.acquire_many(["a", "b"], "me", clock.now(), 10) is None
        assert catalog.leases.holder("a") is None
        got = catalog.leases.acquire_many(["a", "c"], "me", clock.now(), 10)
        assert [lease.name for lease in got or []] == ["a", "c"]

    def test_a_lost_lease_refuses_the_commit(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """A holder thought dead finds its fence stale; the new one commits."""
        old = catalog.leases.acquire("late", "r-1", clock.now(), 10)
        assert old is not None
        new = catalog.leases.steal(old, "r-2", clock.now(), 10)
        assert new is not None
        assert catalog.leases.steal(old, "r-3", clock.now(), 10) is None
        with pytest.raises(BusyError, match="lease on 'late' was lost"):
            catalog.commit([history.done("late", draft("late", 1), lease=old)])
        assert catalog.commit([history.done("late", draft("late", 1), lease=new)])[0][0].number == 1

    # Events, services, tables

    def test_events_are_read_on_from_where_one_stopped(self, catalog: Catalog, clock: ManualClock) -> None:
        """By id and by time, and the last of a kind."""
        seen = [number for number, _ in catalog.events.since()]
        one, two = (Event(kind="drift", subject=name, at=clock.forward(1), data={"psi": 0.5}) for name in ("late", "early"))
        catalog.events.add(one, two)
        assert [event for _, event in catalog.events.since(max(seen, default=0))] == [one, two]
        assert [event for _, event in catalog.events.since(two.at)] == [two]
        assert catalog.events.about("drift", "late") == catalog.events.about("drift", "late", one.at) == [one]
        assert catalog.events.about("drift", "x") == []
        assert (catalog.events.last("drift"), catalog.events.last("drift", "late"), catalog.events.last("x")) == (two, one, None)

    def test_services_come_and_go(self, catalog: Catalog, clock: ManualClock) -> None:
        """A sign of life says what is served now."""
        service = Service(
            name="s", url="http://127.0.0.1:1", pid=3, host="h", models={"late": 1}, started_at=clock.now(), heartbeat=clock.now()
        )
        catalog.services.register(service)
        assert catalog.services.list() == [service]
        assert catalog.services.beat("s", service.url, clock.forward(5), {"late": 2})
        assert [(kept.models, kept.heartbeat) for kept in catalog.services.list()] == [({"late": 2}, clock.now())]
        catalog.services.unregister("s", service.url)
        assert (catalog.services.list(), catalog.services.beat("s", service.url, clock.now(), {})) == ([], False)
        ready = Replica(name="h:1", address="h:1", zone="a", region="eu", state="ready", running=3, versions={"late": 1})
        for replicas in ((ready,), (ready, Replica(name="replica-0", state="starting")), ()):
            router = msgspec.structs.replace(service, name=ROUTER, replicas=replicas)
            catalog.services.register(router)
            assert catalog.services.list() == [router]

    def test_every_table_goes_to_the_warehouse(self, catalog: Catalog, history: History) -> None:
        """Columns as declared and of equal length, full and empty, times as times."""
        empty = {name: export(catalog.database, name) for name in TABLES}
        said = (Noted(what="metric", name="m", value=1.0), Noted(what="param", name="p", value=2))
        model = history.make("late", 1, "model", noted=said)
        catalog.commit([history.judge(model)])
        for name, columns in TABLES.items():
            table = export(catalog.database, name)
            assert list(table) == list(empty[name]) == [column.name for column in columns]
            assert len({len(values) for values in table.values()}) == 1
        assert export(catalog.database, "versions")["created_at"] == [history.clock.now()] * 2
        assert export(catalog.database, "metrics")["value"] == [1.0]
        assert export(catalog.database, "promotions")["moved_by"] == ["verdict"]

    def test_a_whole_record_has_no_faults(self, catalog: Catalog, history: History) -> None:
        """The engine's own check agrees."""
        history.make("late", 1)
        assert catalog.database.faults() == []

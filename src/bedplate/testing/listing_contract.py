"""What every Database owes lists of artifacts and the walk of lineage: pages without gaps, aliases, uses, what is left out."""

from __future__ import annotations

import msgspec
import pytest

from bedplate.catalog import ancestry
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.listing import Listed, Order, Question
from bedplate.core.records import Input, Promotion
from bedplate.core.sources import Entry

from .clock import ManualClock
from .records import History, draft

_PAGES = 3


def _key(one: Listed, order: Order) -> tuple[str | float]:
    """What an artifact is sorted by."""
    told: dict[Order, str | float] = {
        "name": one.name, "made": one.created_at.timestamp(), "rows": one.rows or -1, "size": one.size_bytes, "versions": one.versions,
    }  # fmt: skip
    return (told[order],)


class ListingContract:
    """Tests of `catalog.listing` and `catalog.ancestry`; part of the contract of a catalog."""

    @pytest.mark.parametrize("order", ["name", "made", "rows", "size", "versions"])
    @pytest.mark.parametrize("turned", [False, True])
    def test_pages_of_artifacts_have_each_once(
        self, catalog: Catalog, history: History, clock: ManualClock, order: Order, turned: bool
    ) -> None:
        """In every order and both ways, page by page, each artifact is there once, and the order holds over pages."""
        for number in range(7):
            for content in range(1 + number % 3):
                catalog.commit([history.done(f"a_{number}", draft(f"a_{number}", content, rows=number % 2 or None, size_bytes=number % 4))])
                clock.forward(1)
        asked = Question(order=order, turned=turned, limit=3)
        found, token = catalog.listing.page(asked)
        pages = 1
        while token:
            more, token = catalog.listing.page(msgspec.structs.replace(asked, token=token))
            found, pages = found + more, pages + 1
        assert pages == _PAGES
        assert sorted(one.name for one in found) == [f"a_{number}" for number in range(7)]
        keys = [_key(one, order) for one in found]
        assert keys == sorted(keys, reverse=(order != "name") != turned)
        assert catalog.listing.total(asked) == (7, sum(number % 4 for number in range(7)))

    def test_artifacts_are_found_by_name_kind_and_stage(self, catalog: Catalog, history: History) -> None:
        """A part of the name in any case, and what LIKE takes for a pattern is only text."""
        history.make("Late_Flights", 1)
        history.make("late", 2, "model")
        history.make("other", 3)
        names = {words: [one.name for one in catalog.listing.page(Question(words=words))[0]] for words in ("LATE", "e_f", "%", "_")}
        assert names == {"LATE": ["Late_Flights", "late"], "e_f": ["Late_Flights"], "%": [], "_": ["Late_Flights"]}
        assert [one.name for one in catalog.listing.page(Question(kind="model"))[0]] == ["late"]
        assert catalog.listing.page(Question(stage="train"))[0] == []
        assert catalog.listing.page(Question(own=False, models=frozenset()))[0] == []

    def test_a_version_is_told_with_its_run_and_who_was_handed_it(self, catalog: Catalog, history: History, clock: ManualClock) -> None:
        """Versions newest first, why each was made, what was made of it, aliases, and how its step stood last."""
        table = history.make("table", 1)
        model = catalog.commit([history.done("model", draft("model", 1, "model"), inputs={"rows": table})])[0][0]
        catalog.models.promote(Promotion(model="model", alias="production", version=1, by="person", at=clock.now()))
        assert [(one.number, one.run, one.step) for one in catalog.listing.versions("table")] == [(1, history.run.id, "table")]
        assert catalog.listing.versions("table", before=1) == []
        assert [(one.step, one.parameter, one.made) for one in catalog.listing.uses("table", 1, 1)] == [("model", "rows", "model@1")]
        assert catalog.listing.aliases(["table", "model"]) == {"model": {"production": 1}}
        assert catalog.listing.stands(["model", "never"])["model"].status == "done"
        assert catalog.listing.growth("table")[0][0] == 1
        made = catalog.listing.made_by(model.attempt)
        assert made is not None
        assert (made[0], made[1], made[3]) == (history.run.id, "model", "project")

    def test_features_are_what_was_handed_as_such_or_made_as_such(self, catalog: Catalog, history: History) -> None:
        """A table that a step looked rows up in, with the key parts that say how; and one whose version says how it is keyed."""
        delays = history.make("delays", 1)
        handed = history.done("late", draft("late", 1, "model"))
        catalog.commit([msgspec.structs.replace(handed, inputs={"delays": Input(artifact="delays", view="features", version=delays)})])
        keyed = {"created": "", "entity": ["carrier"], "time": "at"}
        catalog.commit([history.done("habit", draft("habit", 1, meta={"features": keyed}))])
        assert catalog.listing.looked_up() == ["delays", "habit"]
        found = catalog.listing.lookup("delays")
        assert found is not None
        assert (found[0], found[2]) == ("delays", "late")
        assert '"settings"' in found[3]
        assert catalog.listing.lookup("habit") is None

    def test_lineage_is_walked_a_few_steps_and_says_what_is_left_out(self, catalog: Catalog, history: History) -> None:
        """So many steps each way; of many versions side by side the newest; how many are further is told."""
        version = history.make("v_0", 0)
        for number in range(1, 5):
            version = catalog.commit([history.done(f"v_{number}", draft(f"v_{number}", number), inputs={"given": version})])[0][0]
        for content in range(6):
            catalog.commit([history.done("fan", draft("fan", content), inputs={"given": version})])
        found = ancestry.around(catalog.database, "v_4@1", 2, 1)
        assert {ref: at for ref, at in found.depth.items() if at <= 0} == {"v_4@1": 0, "v_3@1": -1, "v_2@1": -2}
        assert sorted(ref for ref, at in found.depth.items() if at > 0) == ["fan@4", "fan@5", "fan@6"]
        assert {(one.beside, one.way, one.artifact, one.count, one.why) for one in found.rests} == {
            ("v_2@1", "up", "", 1, "far"), ("v_4@1", "down", "fan", 3, "many"),
        }  # fmt: skip
        assert ("v_3@1", "v_4@1", "given") in {(hop.upstream, hop.downstream, hop.parameter) for hop in found.hops}

    def test_a_source_file_leads_to_what_was_made_of_it(self, catalog: Catalog, history: History) -> None:
        """By its whole name, whatever signs are in it; only of what the head has seen."""
        name = 'data/100%_"a".csv'
        entries = {"source": (Entry(name, "/x", 10, "s1"), Entry("data/b.csv", "/y", 20, "s2"))}
        catalog.commit([history.done("lines", draft("lines", 1), source_entries=entries, moves_head=True)])
        assert ancestry.versions_with(catalog.database, name) == ["lines@1"]
        assert ancestry.versions_with(catalog.database, "data/") == []
        read = ancestry.reads_of(catalog.database, "lines@1", most=1)[0]
        assert (read.parameter, read.count, [one.name for one in read.entries]) == ("source", 2, [name])
        fact = ancestry.fact_of(catalog.database, "lines@1")
        assert fact is not None
        assert (fact.step, fact.origin) == ("lines", "project")
        assert ancestry.fact_of(catalog.database, "lines@2") is None
        assert ancestry.made_in(catalog.database, history.run.id) == ["lines@1"]
        assert (catalog.listing.origin(history.run.id), catalog.listing.origin("none")) == ("project", "")

"""Several people move one alias at the same moment: one of them does, the others are told who did, and the record says that alone."""

from __future__ import annotations

import csv
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from up_site import API, Answer, Up, in_thread

from bedplate.catalog.tracking.registered import Registration
from bedplate.core.model import Signature
from bedplate.core.records import Draft, Promotion
from bedplate.storage.flavours import Stored

VERSIONS = 8
"""That people promote; three more are promoted by a check."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A model with some versions, the first in production."""
    with in_thread(tmp_path_factory.mktemp("at_once")) as up:
        registry = up.catalog.tracking.registry
        registry.create("m", 1, said="", tags=[])
        schema = msgspec.json.encode(Stored(flavour="lightgbm", library="rows", signature=Signature(inputs=(), outputs=()))).decode()
        for number in range(VERSIONS + 3):
            draft = Draft(
                artifact="m", kind="model", digest=f"sha256:{number:064x}", uri="blobs/x", size_bytes=10, meta={"origin": "client"},
                schema=schema,
            )  # fmt: skip
            asked = Registration(draft=draft, source="runs:/x/m", made_by="ann", attempt=f"m-{number}", description="")
            registry.register(asked, 10 + number)
        assert up.ask("POST", f"{API}/registered-models/alias", {"name": "m", "alias": "production", "version": "1"}).status == 200
        yield up


def at_once(up: Up, bodies: list[tuple[str, dict[str, object]]]) -> list[Answer]:
    """Send all of these in one moment."""
    gate = threading.Barrier(len(bodies))

    def send(path: str, body: dict[str, object]) -> Answer:
        with up.line() as line:
            line.ask("GET", "/health")
            gate.wait(20)
            return line.ask("POST", path, body)

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(lambda one: send(*one), bodies))


def history(up: Up) -> list[list[str]]:
    """The moves of the aliases, the newest first."""
    return list(csv.reader(up.ask("GET", "/models/m?csv=history").body.decode().splitlines()))[1:]


def test_one_of_many_promotions_wins_and_the_record_is_true(site: Up) -> None:
    """Each saw version 1 in production: one moves the alias, the others hear of it; then a rollback against a promotion, the same."""
    before, seen = len(history(site)), {"production": 1}
    told = at_once(
        site, [("/models/m/promote", {"version": number, "reason": f"because {number}", "seen": seen}) for number in range(2, VERSIONS + 1)]
    )  # fmt: skip
    won = [answer.json["version"] for answer in told if answer.status == 200]
    assert len(won) == 1
    assert [answer.status for answer in told].count(409) == len(told) - 1
    assert all(f"production names m@{won[0]} by now" in answer.json["message"] for answer in told if answer.status == 409)
    moves = history(site)
    assert len(moves) == before + 1
    assert moves[0][2:4] == [f"version {won[0]}", "version 1"]
    assert moves[0][5] == f"because {won[0]}"

    now = {"production": won[0]}
    other = next(number for number in range(2, VERSIONS + 1) if number != won[0])
    told = at_once(
        site,
        [("/models/m/rollback", {"to": 1, "reason": "worse", "seen": now})] * 3
        + [("/models/m/promote", {"version": other, "reason": "better", "seen": now})] * 3,
    )
    assert sorted(answer.status for answer in told) == [200, 409, 409, 409, 409, 409]
    stands = site.ask("GET", f"{API}/registered-models/alias?name=m&alias=production").json["model_version"]["version"]
    assert history(site)[0][2] == f"version {stands}"
    done = list(csv.reader(site.ask("GET", "/audit?action=model.promote&csv=audit").body.decode().splitlines()))[1:]
    assert [row[5] for row in done] == ["done"] * 3
    assert len(history(site)) == before + 2


def test_a_check_that_promotes_meanwhile_is_in_the_same_history(site: Up) -> None:
    """Whoever comes second comes from where the first went: each move begins where the one before it ended, and none is left out."""
    before, ended, told = len(history(site)), threading.Event(), []

    def people() -> None:
        while not ended.is_set():
            stands = int(site.ask("GET", f"{API}/registered-models/alias?name=m&alias=production").json["model_version"]["version"])
            body = {"version": 1 + stands % 3, "reason": "p", "seen": {"production": stands}, "confirmed": True}
            told.append(site.ask("POST", "/models/m/promote", body).status)

    person = threading.Thread(target=people)
    person.start()
    for number in range(20):
        now = site.catalog.database.clock.now()
        passed = Promotion(model="m", alias="production", version=VERSIONS + 1 + number % 3, by="verdict", check="good", reason="p", at=now)
        site.catalog.models.promote(passed)
    ended.set()
    person.join(30)
    assert set(told) <= {200, 409}
    moves = list(reversed(history(site)))[before:]
    assert len(moves) == 20 + told.count(200)
    assert all(later[3] == earlier[2] for earlier, later in itertools.pairwise(moves))

"""Who comes in: passwords, tokens, sessions, second factors; who does not, and how long it takes to say so.

Each control of `interfaces/http/door` that is taken out turns one of these red.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pyotp
import pytest
from up_site import API, Answer, Up, in_thread

from bedplate.interfaces.http.door import memory

GOOD = "plover quartz tandem 41"
OTHER = "marmot velvet cascade 86"
ME = "/api/bedplate/me"
NAMES = itertools.count()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("logins")) as server:
        yield server


@pytest.fixture
def ann(up: Up) -> str:
    """An account with the password GOOD."""
    name = f"ann{next(NAMES)}"
    answer = up.ask("POST", f"{API}/users/create", {"username": name, "password": GOOD})
    assert answer.status == 200, answer
    return name


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(up: Up, name: str, password: str, **more: str) -> Answer:
    return up.nobody("POST", "/login", {"username": name, "password": password, **more})


def cookies(answer: Answer) -> dict[str, str]:
    pairs = re.findall(r"(bedplate_\w+)=([^;]*);", answer.headers.get("set-cookie", ""))
    return dict(pairs)


def form(up: Up, fields: dict[str, str], kept: dict[str, str]) -> Answer:
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}
    return up.nobody("POST", "/login", urlencode(fields).encode(), sent)


def hidden(page: Answer, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.body.decode())
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("admin", "admin"), ("admin", "password"), ("admin", "password1234"), ("admin", "changeme"), ("admin", ""), ("user", "user"),
        ("root", "root"), ("mlflow", "mlflow"), ("airflow", "airflow"), ("default", ""), ("admin@example.com", "12341234"), ("", ""),
    ],
)  # fmt: skip
def test_no_known_pair_logs_in(up: Up, name: str, password: str) -> None:
    """Nor any at all on a fresh install: `admin` has no password (DC-01)."""
    assert log_in(up, name, password).status in (401, 429)
    assert up.nobody("GET", ME, headers=basic(name, password)).status in (401, 429)


def test_an_account_without_a_password_comes_in_by_token_only(up: Up) -> None:
    """Made without one, it logs in with none, not even an empty one (DC-04); and an empty one is not made."""
    assert up.ask("POST", "/api/bedplate/accounts", {"name": "np"}).status == 200
    for guess in ("", " ", "None", "null"):
        assert log_in(up, "np", guess).status == 401
    for weak in ("", "short", "password1234", "np-np-np-np-np"):
        assert up.ask("POST", f"{API}/users/create", {"username": "weak", "password": weak}).status == 400
    assert up.ask("GET", f"{API}/users/get?username=weak").status == 404


def test_a_name_and_password_are_good_for_basic_and_remembered(up: Up, ann: str) -> None:
    """Checked once with argon2id; the next time it is quick; a token stands in the place of the password too."""
    spent = []
    for _ in range(2):
        began = time.perf_counter()
        assert up.nobody("GET", ME, headers=basic(ann, GOOD)).json["account"] == ann
        spent.append(time.perf_counter() - began)
    assert spent[1] < spent[0]
    token = up.nobody("POST", f"{ME}/tokens", {"name": "t"}, basic(ann, GOOD)).json["token"]
    assert up.nobody("GET", ME, headers=basic(ann, token)).json["how"] == "token"
    assert up.nobody("GET", ME, headers=basic("admin", token)).status == 401
    assert up.nobody("GET", ME, headers=basic(ann, GOOD + "x")).status == 401


def test_a_changed_password_ends_what_was_remembered_and_every_session(up: Up, ann: str) -> None:
    """Sessions of others end, what Basic remembered ends, and by choice tokens (ST-05)."""
    assert up.nobody("GET", ME, headers=basic(ann, GOOD)).status == 200
    session = log_in(up, ann, GOOD).json["token"]
    token = up.nobody("POST", f"{ME}/tokens", {"name": "t"}, basic(ann, GOOD)).json["token"]
    changed = {"old": GOOD, "new": OTHER, "ends_tokens": True}
    assert up.nobody("POST", f"{ME}/password", changed | {"old": OTHER}, basic(ann, GOOD)).status == 403
    assert up.nobody("POST", f"{ME}/password", changed, basic(ann, GOOD)).status == 200
    for stale in (basic(ann, GOOD), bearer(session), bearer(token)):
        assert up.nobody("GET", ME, headers=stale).status == 401
    assert up.nobody("GET", ME, headers=basic(ann, OTHER)).status == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(up: Up, ann: str) -> None:
    """HttpOnly, SameSite, a path; its name is this server's own (ST-08)."""
    said = log_in(up, ann, GOOD).headers["set-cookie"]
    assert re.search(r"(?i)(?=.*httponly)(?=.*samesite=lax)(?=.*path=/;)", said)
    assert "Secure" not in said


def test_a_cookie_alone_changes_nothing(up: Up, ann: str) -> None:
    """A page of ours knows the session's own text, another site's does not."""
    answer = log_in(up, ann, GOOD)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies(answer).items())}
    assert up.nobody("GET", ME, headers=cookie).json["csrf"] == answer.json["csrf"]
    for csrf in ("", "0" * 32):
        forged = {**cookie, "X-CSRF-Token": csrf}
        assert up.nobody("POST", f"{API}/experiments/create", {"name": f"forged{csrf}"}, forged).status == 403
        assert up.nobody("POST", f"{ME}/password", {"old": GOOD, "new": OTHER}, forged).status == 403
    meant = {**cookie, "X-CSRF-Token": answer.json["csrf"]}
    assert up.nobody("POST", f"{API}/experiments/create", {"name": f"meant by {ann}"}, meant).status == 200
    assert up.nobody("POST", f"{ME}/logout", {}, meant).status == 200
    assert up.nobody("GET", ME, headers=cookie).status == 401


def test_the_form_logs_in_the_browser_that_was_given_it(up: Up, ann: str) -> None:
    """A form of another browser, or of no page of ours, ends in nobody's session (CR-12); the key is new at each login."""
    page = up.nobody("GET", "/login?next=/runs")
    fields = {"csrf": hidden(page, "csrf"), "next": hidden(page, "next"), "username": ann, "password": GOOD}
    attackers = up.nobody("GET", "/login")
    assert form(up, fields, {}).status == 403
    assert form(up, fields, cookies(attackers)).status == 403
    assert form(up, {**fields, "csrf": hidden(attackers, "csrf")}, cookies(page)).status == 403
    entered = form(up, fields, cookies(page))
    assert (entered.status, entered.headers["location"]) == (303, "/runs")
    again = form(up, fields, cookies(page))
    assert cookies(entered) != cookies(again)
    shown = up.nobody("GET", "/login", headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies(entered).items())})
    assert f"<b>{ann}</b>" in shown.body.decode()
    leave = {"leave": "1", "csrf": hidden(shown, "csrf")}
    assert form(up, {**leave, "csrf": "0" * 32}, cookies(entered)).status == 403
    assert form(up, leave, cookies(entered)).headers["location"] == "/login"
    assert form(up, leave, cookies(entered)).status == 403


@pytest.mark.parametrize(
    "next", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1", ""]
)
def test_a_login_leads_to_this_server_only(up: Up, ann: str, next: str) -> None:
    page = up.nobody("GET", f"/login?{urlencode({'next': next})}")
    assert hidden(page, "next") == "/"
    answer = form(up, {"csrf": hidden(page, "csrf"), "next": next, "username": ann, "password": GOOD}, cookies(page))
    assert (answer.status, answer.headers["location"]) == (303, "/")
    here = up.nobody("GET", "/login", headers={"Cookie": "; ".join(f"{key}={value}" for key, value in cookies(answer).items())})
    assert f"logged in as <b>{ann}</b>" in here.body.decode()
    assert "&#34;" not in here.body.decode(), "a browser reads no entities in a style"


def test_a_token_stands_in_for_a_password_where_it_may_all_that_its_account_may(up: Up, ann: str) -> None:
    """Who has only what `bedplate up` printed comes in with it; a token that is limited makes no session, which would not be."""
    limited = up.ask("POST", "/api/bedplate/me/tokens", {"name": "reads", "role": "viewer"}).json["token"]
    for token, status in ((up.token, 200), (limited, 401), ("bpt_0000000000000000_x", 401)):
        assert up.nobody("POST", "/login", {"username": "", "password": token}).status == status
    assert up.nobody("POST", "/login", {"username": ann, "password": up.token}).status == 401


def test_the_page_shows_what_was_typed_and_runs_none_of_it(up: Up) -> None:
    """Names and addresses are escaped, and no script may run at all (XS-06)."""
    odd = "\"><script>window.__bp_xss=1</script><img src=x onerror='alert(1)'>"
    page = up.nobody("GET", f"/login?{urlencode({'next': '/' + odd})}")
    answer = form(up, {"csrf": hidden(page, "csrf"), "username": odd, "password": "x"}, cookies(page))
    assert answer.status == 401
    for shown in (page, answer):
        assert "<script" not in shown.body.decode()
        assert "<img" not in shown.body.decode()
        policy = shown.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'nonce-")
        assert "frame-ancestors 'none'" in policy
        assert shown.headers["x-content-type-options"] == "nosniff"


def test_a_form_from_another_site_is_refused(up: Up, ann: str) -> None:
    """Before anything of it is read (CR-07); so is a form that says it is text."""
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert up.nobody("POST", "/login", b"username=a&password=b", {**foreign, **kind}).status == 403
    assert up.nobody("POST", "/login", b'{"username":"a"}', {"Content-Type": "text/plain"}).status == 415


def test_who_guesses_waits_and_nobody_else(up: Up, ann: str) -> None:
    """After a few wrong ones even the right one is not taken for a while; who is remembered, or has a token, is not held up."""
    assert up.nobody("GET", ME, headers=basic(ann, GOOD)).status == 200
    answers = [log_in(up, ann, f"wrong {number}") for number in range(8)]
    assert [one.status for one in answers[:5]] == [401] * 5
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert log_in(up, ann, GOOD).status == 429
    assert up.nobody("GET", ME, headers=basic(ann, GOOD)).status == 200
    other = f"other{next(NAMES)}"
    assert up.ask("POST", f"{API}/users/create", {"username": other, "password": GOOD}).status == 200
    assert log_in(up, other, GOOD).status == 200


def test_a_second_factor_is_asked_for_and_each_code_counts_once(up: Up, ann: str) -> None:
    """Basic with the password is then not enough, a token is; a code that was used, even to set it up, is used up."""
    session = bearer(log_in(up, ann, GOOD).json["token"])
    begun = up.nobody("POST", f"{ME}/totp/begin", {}, session).json
    codes = pyotp.TOTP(begun["secret"])
    proof = {"secret": begun["secret"], "code": codes.now(), "password": GOOD}
    assert up.nobody("POST", f"{ME}/totp", proof | {"password": "wrong"}, session).status == 403
    assert up.nobody("POST", f"{ME}/totp", proof | {"code": "000000"}, session).status == 400
    assert up.nobody("POST", f"{ME}/totp", proof, session).status == 200
    assert not any(begun["secret"] in str(row) for row in up.catalog.database.dump("accounts"))
    assert log_in(up, ann, GOOD).status == 401
    assert log_in(up, ann, GOOD, code=proof["code"]).status == 401
    assert up.nobody("GET", ME, headers=basic(ann, GOOD)).status == 401
    later = codes.at(int(time.time()) + 30)
    assert log_in(up, ann, GOOD, code=later).status == 200
    assert log_in(up, ann, GOOD, code=later).status == 401


def test_tokens_of_a_thousand_are_scoped_and_expire(up: Up, ann: str) -> None:
    """A reading token changes nothing and makes no token; one for an experiment is good for that one; all end (ST-10)."""
    made = up.nobody("POST", f"{API}/experiments/create", {"name": f"of {ann}"}, basic(ann, GOOD)).json["experiment_id"]
    reader = up.nobody("POST", f"{ME}/tokens", {"name": "r", "role": "viewer"}, basic(ann, GOOD)).json
    scoped = up.nobody("POST", f"{ME}/tokens", {"name": "s", "resource": f"experiment:{made}"}, basic(ann, GOOD)).json
    run = {"experiment_id": made}
    assert up.nobody("GET", f"{API}/experiments/get?experiment_id={made}", headers=bearer(reader["token"])).status == 200
    for path, body in ((f"{API}/runs/create", run), (f"{API}/experiments/create", {"name": "x"}), (f"{ME}/tokens", {"name": "more"})):
        assert up.nobody("POST", path, body, bearer(reader["token"])).status == 403, path
    writer = up.nobody("POST", f"{ME}/tokens", {"name": "w", "role": "contributor"}, basic(ann, GOOD)).json
    assert up.nobody("POST", f"{API}/runs/create", run, bearer(writer["token"])).status == 200
    assert up.nobody("POST", f"{API}/experiments/delete", run, bearer(writer["token"])).status == 403
    assert up.nobody("POST", f"{ME}/tokens", {"name": "more", "role": "maintainer"}, bearer(writer["token"])).status == 403
    assert up.nobody("POST", f"{ME}/tokens", {"name": "same"}, bearer(writer["token"])).json["role"] == "contributor"
    assert up.nobody("POST", f"{API}/runs/create", run, bearer(scoped["token"])).status == 200
    assert up.nobody("POST", f"{API}/experiments/create", {"name": "x"}, bearer(scoped["token"])).status == 403
    assert up.nobody("GET", f"{API}/experiments/get?experiment_id=0", headers=bearer(scoped["token"])).status == 404
    listed = up.nobody("GET", f"{ME}/tokens", headers=basic(ann, GOOD)).json["tokens"]
    assert all(one["expires_at"] for one in listed)
    assert reader["token"].rpartition("_")[2] not in str(listed)
    assert up.nobody("DELETE", f"{ME}/tokens/{reader['id']}", headers=basic(ann, GOOD)).status == 200
    assert up.nobody("GET", ME, headers=bearer(reader["token"])).status == 401


@pytest.mark.parametrize("taken_over", ["users/admin", "users/1", "users/admin/activate", "accounts/admin", "accounts/1"])
def test_no_account_is_taken_over_by_naming_it(up: Up, ann: str, taken_over: str) -> None:
    """By an id or a name in the path, an activation, or fields that were not asked for (ST-07, TN-10)."""
    body = {"password": OTHER, "is_admin": True, "roles": ["admin"], "active": True}
    for method in ("PUT", "PATCH", "POST"):
        assert up.nobody(method, f"/api/bedplate/{taken_over}", body, basic(ann, GOOD)).status in (403, 404, 405)
        assert up.nobody(method, f"/api/bedplate/{taken_over}", body).status == 401
    assert up.nobody("POST", f"{API}/users/create", {"username": "x", **body}, basic(ann, GOOD)).status == 403
    assert up.nobody("PATCH", f"{API}/users/update-password", {"username": "admin", "password": OTHER}, basic(ann, GOOD)).status == 404
    assert up.nobody("PATCH", f"{API}/users/update-admin", {"username": ann, "is_admin": True}, basic(ann, GOOD)).status == 403
    assert up.nobody("GET", ME, headers=basic(ann, GOOD)).json["is_admin"] is False


def test_a_token_does_not_wait_behind_guesses(up: Up, ann: str) -> None:
    """Forty wrong passwords keep both threads that check them busy for a second or more; a new token is known before they are done."""
    minted = up.nobody("POST", f"{ME}/tokens", {"name": "t"}, basic(ann, GOOD)).json["token"]
    with ThreadPoolExecutor(40) as guessers:
        guesses = [guessers.submit(up.nobody, "GET", ME, None, basic(f"guess{number}", "wrong")) for number in range(40)]
        while not any(one.done() for one in guesses):
            time.sleep(0.001)
        assert up.nobody("GET", ME, headers=bearer(minted)).status == 200
        assert not all(one.done() for one in guesses)
    assert {one.result().status for one in guesses} == {401}


@pytest.mark.slow
def test_a_name_that_nobody_has_takes_as_long(up: Up, ann: str) -> None:
    """Medians of logins with a known and an unknown name are within a tenth (each name once, so that nobody waits)."""
    known = [f"known{number}" for number in range(20)]
    for name in known:
        assert up.ask("POST", f"{API}/users/create", {"username": name, "password": GOOD}).status == 200
    spent: dict[str, list[float]] = {"known": [], "unknown": []}
    for number, name in enumerate(known):
        for kind, said in (("known", name), ("unknown", f"nobody{number}")):
            began = time.process_time()
            assert log_in(up, said, "wrong").status == 401
            spent[kind].append(time.process_time() - began)
    ratio = statistics.median(spent["known"]) / statistics.median(spent["unknown"])
    assert 1 / 1.1 < ratio < 1.1


def test_what_is_kept_of_a_request_tells_nothing_of_the_password(up: Up, ann: str) -> None:
    """A retry is answered as the first one was; the digest by which the record knows it is not over the password."""
    body = {"experiment_id": "0", "start_time": 4711}
    assert up.ask("PUT", "/api/bedplate/grants", {"account": ann, "role": "contributor"}).status == 200
    first, again = (up.nobody("POST", f"{API}/runs/create", body, basic(ann, GOOD)).json["run"]["info"]["run_id"] for _ in range(2))
    assert first == again
    said = basic(ann, GOOD)["Authorization"] + "\n"
    guessed = memory.digest_of(said, "POST", f"{API}/runs/create", json.dumps(body).encode())
    assert up.catalog.answers.find(guessed, 0) is None

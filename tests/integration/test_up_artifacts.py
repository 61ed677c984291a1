"""Files over HTTP: what the security cases try (PT, XS, AS, DS, RX-14), ranges, parts, quotas, a damaged disk; on files and on S3.

Each case goes over a real socket; a control that is taken out turns one of these red.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from real_servers import S3Server
from up_site import API, Answer, Up, in_thread

ART = "/api/2.0/mlflow-artifacts/artifacts"
MPU = "/api/2.0/mlflow-artifacts/mpu"
SECRET = "BPSECRET-of-this-test"
LIMITS = {"upload_limit": "3 MB", "upload_quota": "8 MB"}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("site")
    (folder.parent / "secret.txt").write_text(SECRET)
    with in_thread(folder, settings=LIMITS) as server:
        yield server


@pytest.fixture(scope="module")
def run(up: Up) -> str:
    with up.line() as line:
        return line.new_run()


def put(up: Up, run: str, path: str, content: bytes, experiment: str = "0") -> Answer:
    """Upload as the client does."""
    return up.ask("PUT", f"{ART}/{experiment}/{run}/artifacts/{quote(path)}", content, {"Content-Type": "application/octet-stream"})


def get(up: Up, run: str, path: str, **headers: str) -> Answer:
    return up.ask(
        "GET", f"{ART}/0/{run}/artifacts/{quote(path)}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def names(up: Up, run: str, path: str = "") -> list[str]:
    return [one["path"] for one in up.ask("GET", f"{API}/artifacts/list?run_id={run}&path={quote(path)}").json["files"]]


WAYS_OUT = [
    "../../../../../../etc/passwd", "..%2f..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/secret.txt", "%252e%252e/%252e%252e/secret.txt",
    "..%5c..%5csecret.txt", "a/../../secret.txt", "%00secret.txt", "a%00/../b", "C:%5cx", "/etc/passwd", "a//b", "%2fetc%2fpasswd",
    "%e2%80%a8x", "a%0d%0ab", "%ff%fe", "x/" * 60, "y" * 300, "%252f%252e%252e%252fetc",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_spelling_of_a_path_leads_out_or_writes_elsewhere(up: Up, run: str, way: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """PT-01, 03, 04, 13: every door refuses it, and nothing appears or vanishes beside the store."""
    beside = sorted(str(one) for one in tmp_path_factory.getbasetemp().iterdir())
    for method, path in (
        ("GET", f"{ART}/0/{run}/artifacts/{way}"), ("PUT", f"{ART}/0/{run}/artifacts/{way}"), ("DELETE", f"{ART}/0/{run}/artifacts/{way}"),
        ("GET", f"{ART}/{way}"), ("PUT", f"{ART}/{way}"), ("DELETE", f"{ART}/{way}"), ("GET", f"/get-artifact?run_uuid={run}&path={way}"),
        ("GET", f"{API}/artifacts/list?run_id={run}&path={way}"), ("GET", f"{ART}?path={way}"),
        ("GET", f"{ART}?path=0/{run}/artifacts/{way}"),
    ):  # fmt: skip
        answer = up.raw(
            f"{method} {path} HTTP/1.1\r\nHost: {up.url.partition('://')[2]}\r\nAuthorization: Bearer {up.token}\r\n"
            f"Content-Length: {1 if method == 'PUT' else 0}\r\nConnection: close\r\n\r\n{'x' if method == 'PUT' else ''}".encode()
        )
        assert answer.split(b" ")[1][:1] == b"4", (method, path, answer[:200])
        assert SECRET.encode() not in answer
        assert b"root:x:0:0" not in answer
    assert beside == sorted(str(one) for one in tmp_path_factory.getbasetemp().iterdir())
    assert (tmp_path_factory.getbasetemp() / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize(
    "location",
    ["file:///etc", "/etc", "http:///#/../../etc", "file:///tmp;/../../etc", "s3://bucket/x", "mlflow-artifacts://host/x", "ftp://x"],
)
def test_a_place_that_a_client_names_for_an_experiment_is_refused(up: Up, location: str) -> None:
    """PT-06, 07, 08."""
    answer = up.ask("POST", f"{API}/experiments/create", {"name": f"at {location}", "artifact_location": location})
    assert answer.status == 400
    assert (
        up.ask("POST", f"{API}/experiments/create", {"name": f"ours {location}", "artifact_location": "mlflow-artifacts:/"}).status == 200
    )


def test_a_source_elsewhere_makes_no_version_and_a_tag_names_no_source(up: Up, run: str) -> None:
    """PT-11, PT-17: what a version is made of is what was uploaded; names are no places."""
    assert up.ask("POST", f"{API}/registered-models/create", {"name": "m11"}).status == 200
    for source in (
        "file:///etc",
        "/etc/passwd",
        f"runs:/{run}/../../etc",
        "http://127.0.0.1/x",
        f"mlflow-artifacts:/0/{run}/artifacts/%2e%2e/x",
    ):
        assert up.ask("POST", f"{API}/model-versions/create", {"name": "m11", "source": source}).status == 400, source
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.source.uri", "value": "/etc"}]
    made = up.ask("POST", f"{API}/model-versions/create", {"name": "m11", "source": f"runs:/{run}/m", "tags": tags})
    assert made.status == 200
    for path in ("passwd", "../etc/passwd", "/etc/passwd"):
        assert up.ask("GET", f"/model-versions/get-artifact?name=m11&version=1&path={path}").status in (400, 404)
    for name in ("../../x", "/etc/cron.d/bp"):
        assert up.ask("POST", f"{API}/registered-models/create", {"name": name}).status == 400


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.xhtml", "x.md", "x.xml", "n.ipynb", "x.pdf"])
def test_a_page_that_a_client_sent_is_a_download_and_runs_nowhere(up: Up, run: str, name: str) -> None:
    """XS-03, XS-04: attachment, no sniffing, no script, whatever the name says."""
    assert put(up, run, f"pages/{name}", b"<script>window.__bp_xss=1</script>").status == 200
    for path in (f"/get-artifact?run_uuid={run}&path=pages/{name}", f"{ART}/0/{run}/artifacts/pages/{name}"):
        answer = up.ask("GET", path)
        assert answer.status == 200
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]


def test_a_file_s_name_cannot_end_its_header(up: Up, run: str) -> None:
    name = 'a";b=é שלום.html'
    assert put(up, run, name, b"x").status == 200
    said = get(up, run, name).headers["content-disposition"]
    assert said == f"attachment; filename=\"a__b__ ____.html\"; filename*=UTF-8''{quote(name, safe='')}"


def test_archives_and_pickles_are_bytes_like_any_other(up: Up, run: str, tmp_path: Path) -> None:
    """AS-02, AS-03, DS-02: nothing is unpacked, nothing is loaded; they come back byte for byte."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(str(tmp_path / "dropped")), io.BytesIO(b""))
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    harmful = b"cposix\nmknod\n(V" + str(tmp_path / "dropped").encode() + b"\ntR."
    for name, content in (("model/a.tar", packed.getvalue()), ("model/model.pkl", harmful), ("model/MLmodel", PICKLED)):
        assert put(up, run, name, content).status == 200
        assert get(up, run, name).body == content
    up.ask("POST", f"{API}/registered-models/create", {"name": "pickled"})
    made = up.ask("POST", f"{API}/model-versions/create", {"name": "pickled", "source": f"runs:/{run}/model", "run_id": run})
    assert "cannot be served" in made.json["model_version"]["status_message"]
    assert not (tmp_path / "dropped").exists()


PICKLED = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"


@pytest.mark.parametrize(
    "text",
    [b"!!python/object/apply:os.system ['false']\n", b"a: &a [x,x]\nb: &b [*a,*a]\nflavors: *b\n", b"[" * 100_000, b"\xff", b"{a: " * 5000],
)
def test_a_hostile_description_of_a_model_is_read_by_nobody(up: Up, text: bytes) -> None:
    """DS-08 and kin: a tag builds nothing, an alias repeats nothing; the version is opaque and the server answers."""
    with up.line() as line:
        mine = line.new_run()
    assert put(up, mine, "model/MLmodel", text).status == 200
    up.ask("POST", f"{API}/registered-models/create", {"name": "hostile"})
    made = up.ask("POST", f"{API}/model-versions/create", {"name": "hostile", "source": f"runs:/{mine}/model"})
    assert made.status == 200
    assert "cannot be read" in made.json["model_version"]["status_message"]


def test_ranges_are_answered_as_the_protocol_says(up: Up, run: str) -> None:
    content = os.urandom(2_500_000)
    assert put(up, run, "large.bin", content).status == 200
    whole = get(up, run, "large.bin")
    assert (whole.status, whole.body == content, whole.headers["accept-ranges"]) == (200, True, "bytes")
    for said, first, last in (("0-0", 0, 0), ("1000000-1999999", 1_000_000, 1_999_999), ("2499999-", 2_499_999, 2_499_999),
                              ("-5", 2_499_995, 2_499_999),
                              ("2499990-9999999", 2_499_990, 2_499_999)):  # fmt: skip
        part = get(up, run, "large.bin", Range=f"bytes={said}")
        assert (part.status, part.body == content[first : last + 1]) == (206, True)
        assert part.headers["content-range"] == f"bytes {first}-{last}/2500000"
    assert get(up, run, "large.bin", Range="bytes=2500000-").status == 416
    assert get(up, run, "large.bin", Range="bytes=5-1").status == 416
    assert get(up, run, "large.bin", Range="lines=1-2").status == 200
    assert get(up, run, "large.bin", If_None_Match=whole.headers["etag"]).status == 304


def begin(up: Up, run: str, parts: int, name: str = "parted.bin") -> Any:
    answer = up.ask("POST", f"{MPU}/create/0/{run}/artifacts/dir", {"path": f"/home/me/{name}", "num_parts": parts})
    assert answer.status == 200, answer
    return answer.json


def test_a_file_in_parts_is_put_together_once_all_came_as_they_were_sent(up: Up, run: str) -> None:
    """Parts go to their own URL with their own token, which is good for nothing beside it and ends with the upload."""
    parts = [os.urandom(200_000), b"", os.urandom(7)]
    begun = begin(up, run, 3)
    etags = {}
    for credential, content in zip(begun["credentials"], parts, strict=True):
        path = credential["url"].removeprefix(up.url)
        answer = up.nobody("PUT", path, content, credential["headers"])
        etags[credential["part_number"]] = answer.headers["etag"]
        assert up.nobody("PUT", path, content).status == 401
    token = begun["credentials"][0]["headers"]
    assert up.nobody("POST", f"{API}/experiments/create", {"name": "by a part's token"}, token).status in (403, 404)
    told = [{"part_number": number, "etag": etag} for number, etag in etags.items()]
    end = {"path": "/home/me/parted.bin", "upload_id": begun["upload_id"], "parts": told}
    wrong = {**end, "parts": [*told[:2], {"part_number": 3, "etag": "f" * 64}]}
    assert up.ask("POST", f"{MPU}/complete/0/{run}/artifacts/dir", wrong).status == 400
    assert up.ask("POST", f"{MPU}/complete/0/{run}/artifacts/elsewhere", end).status == 404
    assert up.ask("POST", f"{MPU}/complete/0/{run}/artifacts/dir", end).status == 200
    assert get(up, run, "dir/parted.bin").body == b"".join(parts)
    assert up.nobody("PUT", begun["credentials"][0]["url"].removeprefix(up.url), b"x", token).status == 401


def test_an_upload_in_parts_that_is_given_up_leaves_nothing(up: Up, run: str) -> None:
    begun = begin(up, run, 2, "given-up.bin")
    end = {"path": "given-up.bin", "upload_id": begun["upload_id"]}
    assert up.ask("POST", f"{MPU}/abort/0/{run}/artifacts/dir", end).status == 200
    assert up.ask("POST", f"{MPU}/complete/0/{run}/artifacts/dir", {**end, "parts": []}).status == 404
    assert "dir/given-up.bin" not in names(up, run, "dir")
    for count in (0, 10_001):
        assert up.ask("POST", f"{MPU}/create/0/{run}/artifacts/dir", {"path": "x", "num_parts": count}).status == 400


def test_what_has_no_room_is_refused_before_it_is_on_the_disk(up: Up, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes that were refused would lie there until gc: whole, in chunks, or as a part, a full experiment takes none."""
    made = up.ask("POST", f"{API}/experiments/create", {"name": "full"}).json["experiment_id"]
    mine = up.ask("POST", f"{API}/runs/create", {"experiment_id": made}).json["run"]["info"]["run_id"]
    for number in range(3):
        assert put(up, mine, f"f{number}", os.urandom(2_500_000), made).status == 200
    parts = up.ask("POST", f"{MPU}/create/{made}/{mine}/artifacts", {"path": "big", "num_parts": 2}).json
    store = tmp_path_factory.getbasetemp() / "site0"
    before = kept_bytes(store)
    assert before > 7_000_000
    for number in range(3):
        assert put(up, mine, f"more{number}", os.urandom(900_000), made).status == 413
        assert up.ask("PUT", f"{MPU}/part/{parts['upload_id']}/1", os.urandom(900_000)).status == 413
    assert kept_bytes(store) == before
    assert put(up, mine, "f0", os.urandom(2_400_000), made).status == 200


def kept_bytes(folder: Path) -> int:
    """How much lies in the files of a store somewhere below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and ".db" not in path.name)


def test_a_file_that_is_too_large_and_an_experiment_that_is_full_are_refused(up: Up) -> None:
    """RX-14: 413, other experiments go on, and room that is made counts."""
    made = up.ask("POST", f"{API}/experiments/create", {"name": "small"}).json["experiment_id"]
    mine = up.ask("POST", f"{API}/runs/create", {"experiment_id": made}).json["run"]["info"]["run_id"]
    assert put(up, mine, "large", b"x" * 3_000_001, made).status == 413
    for number in range(4):
        assert put(up, mine, f"f{number}", os.urandom(1_900_000), made).status == 200
    full = put(up, mine, "f4", os.urandom(1_900_000), made)
    assert (full.status, "upload_quota" in full.json["message"]) == (413, True)
    with up.line() as line:
        other = line.new_run()
    assert put(up, other, "f", b"x" * 1000).status == 200
    assert up.ask("DELETE", f"{ART}/{made}/{mine}/artifacts/f0").status == 200
    assert put(up, mine, "f4", os.urandom(1_000_000), made).status == 200


def test_a_run_that_ended_keeps_its_files_as_they_are(up: Up) -> None:
    with up.line() as line:
        mine = line.new_run()
    assert put(up, mine, "a", b"1").status == 200
    up.ask("POST", f"{API}/runs/update", {"run_id": mine, "status": "FINISHED"})
    for answer in (put(up, mine, "a", b"2"), put(up, mine, "b", b"1"), up.ask("DELETE", f"{ART}/0/{mine}/artifacts/a")):
        assert (answer.status, answer.json["error_code"]) == (409, "RESOURCE_CONFLICT")
    assert put(up, mine, "a", b"1").status == 200
    up.ask("POST", f"{API}/runs/update", {"run_id": mine, "status": "RUNNING"})
    assert put(up, mine, "b", b"1").status == 200
    assert (names(up, mine), get(up, mine, "a").body) == (["a", "b"], b"1")


def test_bytes_that_rotted_never_arrive_whole(up: Up, tmp_path_factory: pytest.TempPathFactory) -> None:
    with up.line() as line:
        mine = line.new_run()
    content = os.urandom(100_000)
    put(up, mine, "a", content)
    digest = hashlib.sha256(content).hexdigest()
    (kept,) = tmp_path_factory.getbasetemp().rglob(f"sha256/{digest[:2]}/{digest}")
    kept.chmod(0o644)
    kept.write_bytes(b"x" + content[1:])
    try:
        arrived = get(up, mine, "a").body
    except Exception:  # http.client says in several ways that less came than was promised
        arrived = b""
    assert len(arrived) < len(content)


def test_files_and_versions_of_others_are_not_there_for_who_may_not_see_them(up: Up, run: str) -> None:
    """An account without a grant sees neither files, nor folders, nor registered versions, by any address."""
    put(up, run, "mine/a.txt", b"secret")
    up.ask("POST", f"{API}/registered-models/create", {"name": "hers"})
    up.ask("POST", f"{API}/model-versions/create", {"name": "hers", "source": f"runs:/{run}/mine"})
    assert up.ask("GET", f"{ART}/registry/hers/1/a.txt").body == b"secret"
    password = "Quartz-under-7-sleeping-otters"
    assert up.ask("POST", f"{API}/users/create", {"username": "zoe", "password": password}).status == 200
    hers = {"Authorization": "Basic " + base64.b64encode(f"zoe:{password}".encode()).decode()}
    for path in (
        f"{ART}/0/{run}/artifacts/mine/a.txt", f"/get-artifact?run_id={run}&path=mine/a.txt", f"{API}/artifacts/list?run_id={run}",
        f"{ART}?path=0/{run}/artifacts", f"{ART}?path=registry/hers/1", f"{ART}/registry/hers/1/a.txt",
        "/model-versions/get-artifact?name=hers&version=1&path=a.txt",
    ):  # fmt: skip
        assert up.nobody("GET", path, headers=hers).status == 404, path
    up.nobody("POST", f"{API}/registered-models/create", {"name": "zoes"}, hers)
    for source in (f"runs:/{run}/mine", "models:/hers/1", f"mlflow-artifacts:/0/{run}/artifacts/mine"):
        assert up.nobody("POST", f"{API}/model-versions/create", {"name": "zoes", "source": source}, hers).status == 404, source


def test_a_run_is_found_under_its_own_experiment_only(up: Up) -> None:
    """An address that names another experiment, which one may see, leads to no file of this one."""
    made = up.ask("POST", f"{API}/experiments/create", {"name": "its own"}).json["experiment_id"]
    mine = up.ask("POST", f"{API}/runs/create", {"experiment_id": made}).json["run"]["info"]["run_id"]
    assert put(up, mine, "a", b"1", made).status == 200
    assert put(up, mine, "b", b"1", "0").status == 404
    for other in ("0", str(int(made) + 1)):
        assert up.ask("GET", f"{ART}?path={other}/{mine}/artifacts").status == 404
        assert up.ask("GET", f"{ART}/{other}/{mine}/artifacts/a").status == 404
        assert up.ask("DELETE", f"{ART}/{other}/{mine}/artifacts/a").status == 404
    up.ask("POST", f"{API}/registered-models/create", {"name": "astray"})
    for source in (f"mlflow-artifacts:/0/{mine}/artifacts", f"mlflow-artifacts:/{int(made) + 1}/{mine}/artifacts"):
        assert up.ask("POST", f"{API}/model-versions/create", {"name": "astray", "source": source}).status == 404
    assert (
        up.ask("POST", f"{API}/model-versions/create", {"name": "astray", "source": f"mlflow-artifacts:/{made}/{mine}/artifacts"}).status
        == 200
    )


def test_a_version_keeps_its_files_when_its_run_is_deleted(up: Up) -> None:
    with up.line() as line:
        mine = line.new_run()
    put(up, mine, "model/w", b"weights")
    up.ask("POST", f"{API}/registered-models/create", {"name": "kept"})
    up.ask("POST", f"{API}/model-versions/create", {"name": "kept", "source": f"runs:/{mine}/model", "run_id": mine})
    put(up, mine, "model/w", b"changed")
    up.ask("POST", f"{API}/runs/delete", {"run_id": mine})
    uri = up.ask("GET", f"{API}/model-versions/get-download-uri?name=kept&version=1").json["artifact_uri"]
    assert uri == "mlflow-artifacts:/registry/kept/1"
    assert up.ask("GET", f"{ART}?path=registry/kept/1").json == {"files": [{"path": "w", "is_dir": False, "file_size": 7}]}
    assert up.ask("GET", f"{ART}/registry/kept/1/w").body == b"weights"


def test_a_version_that_is_asked_for_twice_because_the_answer_was_lost_is_one(up: Up, run: str) -> None:
    up.ask("POST", f"{API}/registered-models/create", {"name": "once"})
    put(up, run, "once/w", b"w")
    body = {"name": "once", "source": f"runs:/{run}/once", "run_id": run}
    with up.line() as line:
        first = line.ask("POST", f"{API}/model-versions/create", body)
        line.drop()
        again = line.ask("POST", f"{API}/model-versions/create", body)
        assert again.json == first.json
        line.ask("GET", f"{API}/registered-models/get?name=once")
        assert line.ask("POST", f"{API}/model-versions/create", body).json["model_version"]["version"] == "2"


def test_all_of_it_on_a_bucket(s3_server: S3Server, tmp_path: Path) -> None:
    """Bytes go to S3 and come back from it, also for a server that has no copy; a version is registered of them."""
    store = f"s3://{s3_server.bucket()}/lake?endpoint={s3_server.endpoint}"
    content = os.urandom(1_000_000)
    with in_thread(tmp_path, settings={"store": store}) as up:
        with up.line() as line:
            mine = line.new_run()
        assert put(up, mine, "model/w.bin", content).status == 200
        begun = begin(up, mine, 2)
        told = []
        for credential in begun["credentials"]:
            answer = up.nobody("PUT", credential["url"].removeprefix(up.url), b"p" * 1000, credential["headers"])
            told.append({"part_number": credential["part_number"], "etag": answer.headers["etag"]})
        end = {"path": "parted.bin", "upload_id": begun["upload_id"], "parts": told}
        assert up.ask("POST", f"{MPU}/complete/0/{mine}/artifacts/dir", end).status == 200
        for copy in (tmp_path / ".bedplate").rglob("sha256/*/*"):
            copy.unlink()
        assert get(up, mine, "model/w.bin").body == content
        assert get(up, mine, "dir/parted.bin", Range="bytes=999-1000").body == b"pp"
        up.ask("POST", f"{API}/registered-models/create", {"name": "m"})
        made = up.ask("POST", f"{API}/model-versions/create", {"name": "m", "source": f"runs:/{mine}/model"})
        assert json.loads(made.body)["model_version"]["version"] == "1"

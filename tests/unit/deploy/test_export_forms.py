"""What exports are made of: names, packages, manifests and configurations, checked by what the other systems check them with."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml

from bedplate.core.errors import UserError
from bedplate.core.model import Field, Model, Remote, Signature
from bedplate.core.project import Needs
from bedplate.core.records import Version
from bedplate.stages.deploy.export import docker, edge, kserve, kubernetes, names, needed, runner, sender, triton, written
from bedplate.stages.deploy.export.subject import Exported, Subject
from bedplate.stages.deploy.export.workload import Workload, workload
from bedplate.storage.flavours import Stored

NOW = datetime(2026, 11, 22, tzinfo=UTC)
INPUTS = (Field("distance", "FP64"), Field("carrier", "BYTES", ("AA", 'B"B')))


class Fixed:
    """A predictor that says the same of every row."""

    signature = Signature(INPUTS, (Field("prediction", "FP64"),))

    def __init__(self, *values: float) -> None:
        self._values = values

    def predict(self, columns: dict[str, Any]) -> Any:
        rows = [self._values] * len(columns["distance"])
        return np.array(rows if len(self._values) > 1 else [one for (one,) in rows])


def exported(folder: Path, *values: float, flavour: str = "lightgbm", file: str = "model.txt") -> Exported:
    (folder / file).write_text("tree\n")
    version = Version(
        artifact="late",
        kind="model",
        digest="sha256:0",
        number=7,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        attempt="a",
        size_bytes=1 << 20,
    )
    stored = Stored(flavour=flavour, library="rows", signature=Fixed.signature, example=[{"distance": 1.0, "carrier": "AA"}])
    model = Model(predictor=Fixed(*values), example=stored.example)
    return Exported(name="late", version=version, stored=stored, files={file: folder / file}, model=model, source=None)


def asked(folder: Path, **needs: Any) -> Subject:
    return Subject(name="will_be_late", kind="service", models=(exported(folder, 0.5),), needs=Needs(**needs))


def load(folder: Path, *, remote: bool = False, **needs: Any) -> Workload:
    return workload(asked(folder, **needs), "registry.example.com:5000/team/late:7", "", docker.PROXY, (2, 10), remote)


@pytest.mark.parametrize(("given", "made"), [("will_be_late", "will-be-late"), ("Late", "late"), ("a" * 63, "a" * 63), ("_x_", "x")])
def test_a_name_becomes_one_of_dns(given: str, made: str) -> None:
    assert names.label(given) == made


@pytest.mark.parametrize("given", ["", "a" * 64, "spät", "a b", "a;b", "a\n", "-", "a.b", "$(id)"])
def test_a_name_that_kubernetes_does_not_take_is_refused_with_a_way_out(given: str) -> None:
    with pytest.raises(UserError) as caught:
        names.label(given)
    assert "--as NAME" in str(caught.value)


@pytest.mark.parametrize("given", ["late", "late:7", "r.example.com:5000/a/b-c:1.0_x", f"late@sha256:{'0' * 64}"])
def test_an_image_is_taken_as_it_is(given: str) -> None:
    assert names.image(given) == given


@pytest.mark.parametrize("given", ["", "Late:7", "late:7; rm", "a//b", "late:", "late\n", "$(id)", "late --privileged", "a" * 600])
def test_what_is_no_image_is_refused(given: str) -> None:
    with pytest.raises(UserError):
        names.image(given)


@pytest.mark.parametrize("given", ["../late", "a/b", "", 'a"b', "a\n"])
def test_a_name_of_triton_is_a_plain_one(given: str) -> None:
    with pytest.raises(UserError):
        names.plain(given)


@pytest.mark.parametrize("remote", [False, True])
def test_every_manifest_is_valid_by_the_schemas_of_kubernetes(tmp_path: Path, remote: bool) -> None:
    """kubernetes-validate, strictly: no field that the schemas do not know."""
    validate = importlib.import_module("kubernetes_validate")
    kubernetes.write(load(tmp_path, remote=remote, cpu=2), tmp_path)
    found = list(yaml.safe_load_all((tmp_path / "manifests.yaml").read_text()))
    for one in found:
        validate.validate(one, validate.latest_version(), strict=True)
    kinds = {"ServiceAccount", "ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
    assert {one["kind"] for one in found} == kinds


def test_what_is_declared_is_what_is_asked_for(tmp_path: Path) -> None:
    """Processors and memory; a memory that nobody declared is said to be assumed."""
    (_, server) = deployment(load(tmp_path, cpu=2, memory_bytes=2 << 30))["spec"]["template"]["spec"]["containers"]
    assert server["resources"] == {"requests": {"cpu": "2000m", "memory": "2048Mi"}, "limits": {"cpu": "4000m", "memory": "2048Mi"}}
    assert load(tmp_path, memory_bytes=2 << 30).basis == "declared"
    assert load(tmp_path).basis.startswith("assumed")
    assert load(tmp_path).memory_bytes == (256 << 20) + 4 * (1 << 20)


def test_pods_are_locked_down_and_spread(tmp_path: Path) -> None:
    spec = deployment(load(tmp_path))["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert all(one["securityContext"]["readOnlyRootFilesystem"] for one in spec["containers"])
    assert all(one["securityContext"]["capabilities"] == {"drop": ["ALL"]} for one in spec["containers"])
    assert "topology.kubernetes.io/zone" in {one["topologyKey"] for one in spec["topologySpreadConstraints"]}
    assert kubernetes.policy(load(tmp_path))["spec"]["egress"] == []
    assert {port["port"] for rule in kubernetes.policy(load(tmp_path, remote=True))["spec"]["egress"] for port in rule["ports"]} == {
        53, 443, 5432,
    }  # fmt: skip


def test_a_pod_may_reach_the_server_that_has_its_remote_model(tmp_path: Path) -> None:
    """Its port and names, and nothing else."""
    one = exported(tmp_path, 0.5, flavour="remote", file="remote.json")
    far = Exported(
        name=one.name, version=one.version, stored=one.stored, files=one.files, source=None,
        model=Model(Remote(url="http://triton:8000/v2/models/late"), predictor=one.model.predictor),
    )  # fmt: skip
    asks = Subject(name="will_be_late", kind="service", models=(far,), needs=Needs())
    egress = kubernetes.policy(workload(asks, "", "", docker.PROXY, (1, 1), False))["spec"]["egress"]
    assert {port["port"] for rule in egress for port in rule["ports"]} == {53, 8000}


def deployment(of: Workload) -> dict[str, Any]:
    return next(one for one in kubernetes.objects(of) if one["kind"] == "Deployment")


def test_an_inference_service_has_the_proxy_as_its_first_container(tmp_path: Path) -> None:
    kserve.write(load(tmp_path), tmp_path)
    found = {one["kind"]: one for one in yaml.safe_load_all((tmp_path / "inference-service.yaml").read_text())}
    predictor = found["InferenceService"]["spec"]["predictor"]
    assert [one["name"] for one in predictor["containers"]] == ["kserve-container", "server"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 10)


@pytest.mark.parametrize(("values", "outputs", "classes"), [((0.5,), 1, "false"), ((0.2, 0.3, 0.5), 3, "true")])
def test_tritons_own_parser_reads_the_configuration(tmp_path: Path, values: tuple[float, ...], outputs: int, classes: str) -> None:
    text_format = importlib.import_module("google.protobuf.text_format")
    pb = importlib.import_module("tritonclient.grpc.model_config_pb2")
    (tmp_path / "to").mkdir()
    one = Subject(name="late", kind="model", models=(exported(tmp_path, *values),), needs=Needs())
    triton.write(one, tmp_path / "to", "late_flights")
    config = text_format.Parse((tmp_path / "to" / "late_flights" / triton.CONFIG).read_text(), pb.ModelConfig())
    assert (config.name, config.backend, config.input[0].dims, config.output[0].dims) == ("late_flights", "fil", [2], [outputs])
    assert config.parameters["output_class"].string_value == classes
    assert (tmp_path / "to" / "late_flights" / "7" / "model.txt").read_text() == "tree\n"
    assert json.loads((tmp_path / "to" / "late_flights" / "columns.json").read_text())[1]["categories"] == ["AA", 'B"B']


def test_what_triton_does_not_run_is_said_with_what_does(tmp_path: Path) -> None:
    one = Subject(name="late", kind="model", models=(exported(tmp_path, 0.5, flavour="function", file="params.json"),), needs=Needs())
    with pytest.raises(UserError) as caught:
        triton.write(one, tmp_path / "to")
    assert "bedplate export docker late" in str(caught.value)


def test_no_command_of_the_image_is_read_by_a_shell() -> None:
    """Every RUN, CMD and ENTRYPOINT is a list; the last user is none that may do anything."""
    text = docker.dockerfile(needed.packages(["msgspec"]))
    commands = [line for line in text.splitlines() if line.startswith(("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK"))]
    assert len(commands) >= 4
    assert all(isinstance(json.loads(line[line.index("[") :]), list) for line in commands)
    assert [line for line in text.splitlines() if line.startswith("USER")] == ["USER 10001:10001"]


def test_packages_come_with_all_that_they_need() -> None:
    found = {one.name.lower(): one for one in needed.packages(["rich"])}
    assert {"rich", "pygments", "markdown-it-py"} <= found.keys()
    assert found["rich"].licence != needed.UNKNOWN
    assert needed.pins([found["rich"]]) == f"rich=={found['rich'].version}\n"
    with pytest.raises(UserError):
        needed.packages(["no-such-package-at-all"])


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(place: Path) -> None:
        with written.whole(place) as folder:
            (folder / "half").write_text("")
            raise UserError("no")

    with pytest.raises(UserError):
        fails(tmp_path / "made")
    assert list(tmp_path.iterdir()) == []
    with written.whole(tmp_path / "made") as folder:
        (folder / "file").write_text("content")
        written.summed(folder)
    assert written.files(tmp_path / "made") == ["SHA256SUMS", "file"]
    with pytest.raises(UserError), written.whole(tmp_path / "made"):
        pass


@pytest.mark.parametrize(
    ("value", "read"), [("AA", 0.0), ('B"B', 1.0), ("CC", None), (None, None), (1.0, "takes text"), (["AA"], "takes text")]
)
def test_the_runner_reads_a_category_as_a_server_does(value: Any, read: float | str | None) -> None:
    column = runner.Column(msgspec.to_builtins(INPUTS[1]))
    if isinstance(read, str):
        with pytest.raises(runner.Mistake, match=read):
            column.read({"carrier": value})
    else:
        assert column.read({"carrier": value}) == pytest.approx(np.nan if read is None else read, nan_ok=True)


def test_a_token_goes_over_tls_or_loopback_only() -> None:
    sender.Record("http://127.0.0.1:8000", "secret")
    sender.Record("https://example.com", "secret")
    for url in ("http://example.com", "file:///etc/passwd", "example.com"):
        with pytest.raises(ValueError, match=r"https only|no address"):
            sender.Record(url, "secret")


def test_a_model_that_cannot_go_names_what_was_asked_for(tmp_path: Path) -> None:
    """The way out that is told exports the service, not the one model of it that stays."""
    one = exported(tmp_path, 0.5, flavour="function", file="params.json")
    service = Subject(name="will_be_late", kind="service", models=(one,), needs=Needs())
    with pytest.raises(UserError, match="late@7") as by_triton:
        triton.write(service, tmp_path / "triton")
    with pytest.raises(UserError, match="late@7") as at_the_edge:
        edge.write(service, tmp_path / "edge", str)
    assert by_triton.value.next == at_the_edge.value.next == "bedplate export docker will_be_late"

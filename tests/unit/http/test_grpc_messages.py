"""The messages of gRPC are the protocol's own, and no message does more than be read or be refused."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.config import port
from bedplate.core.errors import UserError
from bedplate.core.model import Field, Signature
from bedplate.interfaces.http import grpc_port
from bedplate.interfaces.http.backends.grpc_form import GrpcForm
from bedplate.interfaces.http.replies import Problem
from bedplate.storage.backends import open_inference

FOLDER = Path(open_inference.__file__).parent
SIGNATURE = Signature((Field("a", "FP64"),), (Field("prediction", "FP64"),))


def test_the_compiled_form_is_that_of_the_proto(tmp_path: Path) -> None:
    made = tmp_path / "made.binpb"
    assert protoc.main(["", f"--proto_path={FOLDER}", f"--descriptor_set_out={made}", "open_inference.proto"]) == 0
    assert made.read_bytes() == (FOLDER / "open_inference.binpb").read_bytes()


def fields(messages: Any, before: str = "") -> set[tuple[Any, ...]]:
    found = set()
    for one in messages:
        found |= {(before + one.name, field.name, field.number, field.type, field.label, field.type_name) for field in one.field}
        found |= fields(one.nested_type, f"{before}{one.name}.")
    return found


def test_every_field_is_one_of_tritons() -> None:
    """By name, number and type: what its client sends is what we read."""
    mine = FileDescriptorSet.FromString((FOLDER / "open_inference.binpb").read_bytes()).file[0]
    theirs = FileDescriptorProto()
    importlib.import_module("tritonclient.grpc.service_pb2").DESCRIPTOR.CopyToProto(theirs)
    assert fields(mine.message_type) <= fields(theirs.message_type)
    assert mine.package == theirs.package
    (service,) = mine.service
    asked = {(one.name, one.input_type, one.output_type) for one in theirs.service[0].method}
    assert {(one.name, one.input_type, one.output_type) for one in service.method} <= asked


CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=4),
        "int_contents": st.lists(st.integers(-300, 300), max_size=4),
        "int64_contents": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
        "uint_contents": st.lists(st.integers(0, 70_000), max_size=4),
        "uint64_contents": st.lists(st.integers(0, 2**64 - 1), max_size=4),
        "fp32_contents": st.lists(st.floats(width=32), max_size=4),
        "fp64_contents": st.lists(st.floats(), max_size=4),
        "bytes_contents": st.lists(st.binary(max_size=3), max_size=4),
    },
)
INPUT = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b"]),
        "datatype": st.sampled_from([*open_inference.CONTENTS, "FP16", "X", ""]),
        "shape": st.lists(st.integers(-1, 4) | st.just(1 << 62), max_size=3),
    },
    optional={"contents": CONTENTS},
)


@given(st.lists(INPUT, max_size=3), st.lists(st.binary(max_size=20), max_size=3))
def test_a_message_is_tensors_of_their_shape_or_a_problem(inputs: list[Any], raw: list[bytes]) -> None:
    request = open_inference.message("ModelInferRequest")(model_name="m", inputs=inputs, raw_input_contents=raw)
    form = GrpcForm(request, 1.5)
    try:
        asked, found = form.read({}, b"", SIGNATURE)
    except Problem:
        return
    assert asked.parameters == {"timeout": 1_500_000}
    assert all(len(one.values) == np.prod(one.shape) if one.datatype == "BYTES" else np.shape(one.values) == one.shape for one in found)


def test_where_its_package_is_missing_it_is_off_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert grpc_port.asked("auto") is None
    assert grpc_port.asked("none") is None
    with pytest.raises(UserError, match="gRPC needs a package") as raised:
        grpc_port.asked("0")
    assert (raised.value.why, raised.value.next) == ("grpc is not installed", "pip install 'bedplate[grpc]'")


def test_the_setting_is_auto_none_or_a_port() -> None:
    assert [port(text) for text in ("auto", "none", "0", "8001")] == ["auto", "none", "0", "8001"]
    for wrong in ("on", "-1", "70000", ""):
        with pytest.raises(UserError):
            port(wrong)

"""The messages of the Open Inference Protocol over gRPC, for who answers them and for who asks another server.

They are made from `open_inference.binpb` (the compiled `open_inference.proto`) in a pool of their own: a project that asks another server
with Triton's client has messages of the same names in its process.
"""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE: Final = "inference"
CONTENTS: Final = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""The typed contents of each datatype. FP16 has none: it is sent as bytes."""


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    compiled = resources.files(__package__).joinpath("open_inference.binpb").read_bytes()
    for one in FileDescriptorSet.FromString(compiled).file:
        pool.AddSerializedFile(one.SerializeToString())
    return pool


_POOL: Final = _pool()


def message(name: str) -> Any:
    """The class of a message of the protocol."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))

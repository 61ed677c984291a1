"""What KServe's own client says to a server, by its first and second protocol and over gRPC: words are URL and GRPC. Prints what it heard.

The model `line` takes `x` and `z`; rows are (1, 2) and (3, 4).
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

X, Z = [1.0, 3.0], [2.0, 4.0]


def request(model: str, *, binary: bool) -> InferRequest:
    inputs = []
    for name, values in (("x", X), ("z", Z)):
        one = InferInput(name=name, shape=[2], datatype="FP64")
        one.set_data_from_numpy(np.array(values), binary_data=binary)
        inputs.append(one)
    return InferRequest(model_name=model, infer_inputs=inputs, request_id="k-1")


async def first(url: str) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        rows = await client.infer(url, {"instances": [{"x": x, "z": z} for x, z in zip(X, Z, strict=True)]}, model_name="line")
        columns = await client.infer(url, {"inputs": {"x": X, "z": Z}}, model_name="line")
        try:
            await client.infer(url, {"instances": [{"x": 1}]}, model_name="line")
        except httpx.HTTPStatusError as error:
            wrong = str(error)
        ready = await client.is_model_ready(url, "line")
    return {"rows": rows["predictions"], "columns": columns["outputs"], "ready": ready, "wrong": wrong}


async def second(url: str) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        made = [await client.infer(url, request("line", binary=binary), model_name="line") for binary in (False, True)]
        states = [await client.is_server_live(url), await client.is_server_ready(url)]
        states += [await client.is_model_ready(url, "line"), await client.is_model_ready(url, "nothing")]
    return {"rows": [one.outputs[0].as_numpy().tolist() for one in made], "ids": [one.id for one in made], "states": states}


async def over_grpc(address: str) -> dict[str, Any]:
    async with InferenceGRPCClient(address) as client:
        made = [await client.infer(request("line", binary=binary)) for binary in (False, True)]
        states = [await client.is_server_live(), await client.is_server_ready(), await client.is_model_ready("line")]
        try:
            await client.infer(request("nothing", binary=False))
        except grpc.RpcError as error:
            wrong = error.code().name
    return {"rows": [one.outputs[0].as_numpy().tolist() for one in made], "ids": [one.id for one in made], "states": states, "wrong": wrong}


async def all_of_it(url: str, address: str) -> dict[str, Any]:
    return {"first": await first(url), "second": await second(url), "grpc": await over_grpc(address)}


print(json.dumps(asyncio.run(all_of_it(*sys.argv[1:]))))

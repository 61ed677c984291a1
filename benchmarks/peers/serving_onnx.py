"""FastAPI and uvicorn over onnxruntime, a request at a time: `serving_onnx.py MODEL PORT`."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
app = FastAPI()


class Asked(BaseModel):
    """The rows to predict."""

    rows: list[list[float]]


@app.post("/score")
async def score(asked: Asked) -> dict[str, list[float]]:
    """A number for each row."""
    return {"result": session.run(None, {"input": np.asarray(asked.rows, dtype=np.float32)})[0].ravel().tolist()}


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """It answers."""
    return {"ready": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)

"""FastAPI and uvicorn, as their manuals have it: `serving_fastapi.py MODEL PORT`; a model class, an endpoint, `Booster.predict`."""

from __future__ import annotations

import sys

import lightgbm
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

booster = lightgbm.Booster(model_file=sys.argv[1])
app = FastAPI()


class Asked(BaseModel):
    """The rows to predict."""

    rows: list[list[float]]


@app.post("/score")
async def score(asked: Asked) -> dict[str, list[float]]:
    """A probability for each row."""
    return {"result": booster.predict(np.asarray(asked.rows), num_threads=1).tolist()}


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """It answers."""
    return {"ready": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)

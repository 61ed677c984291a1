"""BentoML as its manual has it, one worker: `serving_bentoml.py MODEL PORT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import lightgbm
import numpy as np

if sys.argv[0].endswith("serving_bentoml.py"):
    os.environ["SERVING_MODEL"] = sys.argv[1]
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Trees:
    """The model."""

    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=os.environ["SERVING_MODEL"])

    @bentoml.api
    def score(self, rows: list[list[float]]) -> dict[str, list[float]]:
        """A probability for each row."""
        return {"result": self.booster.predict(np.asarray(rows), num_threads=1).tolist()}


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    command = str(Path(sys.executable).with_name("bentoml"))
    os.execv(command, [command, "serve", "serving_bentoml:Trees", "--port", sys.argv[2], "--host", "127.0.0.1"])

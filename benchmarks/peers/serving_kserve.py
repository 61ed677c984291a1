"""KServe's own model server with a model class of LightGBM, in one process: `serving_kserve.py MODEL PORT`."""

from __future__ import annotations

import sys
from typing import Any

import lightgbm
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class Trees(Model):
    """The model."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.booster = lightgbm.Booster(model_file=sys.argv[1])
        self.ready = True

    async def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> InferResponse:
        """A probability for each row."""
        rows = payload.inputs[0].as_numpy()
        made = self.booster.predict(rows, num_threads=1)
        output = InferOutput("prediction", list(made.shape), "FP64", data=made.tolist())
        return InferResponse(payload.id or "1", self.name, [output])


if __name__ == "__main__":
    ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1, access_log_format=None).start([Trees("trees")])

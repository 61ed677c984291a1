"""LitServe as its manual has it: `serving_litserve.py MODEL PORT`; one worker, no batching."""

from __future__ import annotations

import sys
from typing import Any

import lightgbm
import litserve
import numpy as np


class Api(litserve.LitAPI):
    """The model."""

    def setup(self, device: str) -> None:
        """Load it."""
        self.booster = lightgbm.Booster(model_file=sys.argv[1])

    def decode_request(self, request):  # it takes an annotation for what a body is to be validated by
        """The rows of a body."""
        return np.asarray(request["rows"])

    def predict(self, rows: Any) -> Any:
        """A probability for each."""
        return self.booster.predict(rows, num_threads=1)

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        """As JSON."""
        return {"result": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(api_path="/score"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, generate_client_file=False, log_level="error")

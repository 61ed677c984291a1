"""A model of MLServer's own kind, as its users write them: it adds the columns of each row, and does not know what to do with 13."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Adder(MLModel):
    """What MLServer loads by its name."""

    async def load(self) -> bool:
        """Nothing is needed."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The sum of each row."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        if 13 in rows[:, 0]:
            raise ValueError("thirteen")
        return InferenceResponse(
            model_name=self.name, model_version=self.version, outputs=[NumpyCodec.encode_output("total", rows.sum(axis=1))]
        )

"""The floor's prediction behind MLServer, as a runtime of its own: `mlserver start FOLDER`."""

from __future__ import annotations

from typing import Any

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

from benchmarks.serving_floor import Floor


class Bench(MLModel):  # type: ignore[misc]  # its types are not there where ours are checked
    """Its XGBoost runtime makes a DMatrix of every request, and so is slower than this."""

    async def load(self) -> bool:
        """Load the booster."""
        self.floor = Floor()
        return True

    async def predict(self, payload: Any) -> Any:
        """Predict."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("predictions", self.floor.predict(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])

"""The floor's prediction behind LitServe: `python -m benchmarks.serving_litserve PORT`."""

import sys
from typing import Any

import litserve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.serving_floor import Floor


class Bench(litserve.LitAPI):  # type: ignore[misc]  # it ships no types
    """One worker predicts, one answers HTTP: LitServe's own way."""

    def setup(self, device: str) -> None:  # noqa: ARG002  # LitServe passes it by name
        """Load the booster, in the worker."""
        self.floor = Floor()

    def decode_request(self, request: Request) -> Any:
        """Take the rows out of a request.

        It is a dictionary; the annotation is what LitServe hands on to FastAPI, and so is that of the answer.
        """
        return request["dataframe_split"]["data"]

    def predict(self, x: Any) -> Any:
        """Predict."""
        return self.floor.predict(x).tolist()

    def encode_response(self, output: list[float]) -> Response:
        """Answer as MLflow does."""
        return {"predictions": output}  # type: ignore[return-value]  # as LitServe takes it


if __name__ == "__main__":
    server = litserve.LitServer(Bench(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )

"""The floor's prediction behind BentoML: `bentoml serve benchmarks.serving_bentoml:service`."""

from typing import Any

import bentoml

from benchmarks.serving_floor import Floor


class Bench:
    """BentoML reads the annotations of its methods: they are the request's schema."""

    def __init__(self) -> None:
        self.floor = Floor()

    def invocations(self, dataframe_split: dict[str, Any]) -> dict[str, list[float]]:
        """Predict."""
        return {"predictions": self.floor.predict(dataframe_split["data"]).tolist()}


Bench.invocations = bentoml.api(route="/invocations")(Bench.invocations)  # type: ignore[method-assign]
service = bentoml.service(workers=1)(Bench)

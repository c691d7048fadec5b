"""The floor: the least that a Python server can do for a prediction, with no check of anything.

`app` is raw ASGI: orjson reads, XGBoost predicts, orjson writes. `BENCH_THREADS` says with how many threads,
0: with as many as XGBoost takes. BentoML, LitServe and MLServer predict with `Floor` as well.
"""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xgboost as xgb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy.typing as npt

_JSON = (b"content-type", b"application/json")


class Floor:
    """The booster of the artifact, and nothing around it."""

    def __init__(self) -> None:
        self.booster = xgb.Booster()
        self.booster.load_model(Path(os.environ["BENCH_ARTIFACT"]) / "model.ubj")
        threads = int(os.environ.get("BENCH_THREADS", "1"))
        if threads:
            self.booster.set_param({"nthread": threads})
        # Or what was imported is gone through again and again, for as long as a hundred predictions take.
        gc.collect()
        gc.freeze()

    def predict(self, rows: object) -> npt.NDArray[np.float32]:
        """Return a prediction for each row of numbers."""
        found: npt.NDArray[np.float32] = self.booster.inplace_predict(np.asarray(rows, np.float32))
        return found


# In the worker, not before it is forked: XGBoost's threads would not be there.
_floor = cache(Floor)


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer any request as one for predictions."""
    if scope["type"] == "lifespan":
        await receive()
        _floor()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    found = _floor().predict(orjson.loads(body)["dataframe_split"]["data"])
    answer = orjson.dumps({"predictions": found}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = [_JSON, (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

"""Which count lies where in a worker's row of float64."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STATUSES = (200, 400, 401, 403, 404, 405, 406, 408, 411, 413, 415, 421, 422, 431, 500, 503, 504)
STEPS = ("read", "parse", "predict", "total")
# An answer takes a third of a millisecond when nothing waits, so most of the bounds lie around that.
BOUNDS_S = (
    *(5e-05, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
VERSIONS_KEPT = 8


class Reason(StrEnum):
    """Why a request was not answered with predictions."""

    OVERLOAD = "overload"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_ROWS = "too_many_rows"
    DEADLINE = "deadline"
    SLOW_CLIENT = "slow_client"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FOREIGN_HOST = "foreign_host"
    FOREIGN_ORIGIN = "foreign_origin"
    NOT_READY = "not_ready"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    WRONG_METHOD = "wrong_method"
    UNKNOWN_PATH = "unknown_path"
    INTERNAL = "internal"


RUNNING = 0
IN_FLIGHT = 1
LINES_DROPPED = 2
REASONS_FROM = 3
_MODELS_FROM = REASONS_FROM + len(Reason)

# Within the block of a model, from its first cell:
LOADED_VERSION = 0
LOADED_AT = 1
REFUSED = 2
ROWS = 3
STATUSES_FROM = 4  # one cell a status, and one for any other
_STEPS_FROM = STATUSES_FROM + len(STATUSES) + 1
_STEP_CELLS = 1 + len(BOUNDS_S) + 1  # the sum in seconds, then one cell a bucket, the last up to infinity
VERSIONS_FROM = _STEPS_FROM + len(STEPS) * _STEP_CELLS
# What `versions` needs: five cells, and two a version it keeps, with a spare.
VERSION_CELLS = 5 + 2 * (VERSIONS_KEPT + 1)
_MODEL_CELLS = VERSIONS_FROM + VERSION_CELLS

_CELLS_OF_TWO_CACHE_LINES = 16


@dataclass(frozen=True)
class Layout:
    """The row of a worker that serves so many models. Positions are cells from the row's first."""

    models: int

    @property
    def cells(self) -> int:
        """Cells of a row, filled up so that two workers never write to one cache line."""
        used = self.model(self.models)
        return -(-used // _CELLS_OF_TWO_CACHE_LINES) * _CELLS_OF_TWO_CACHE_LINES

    def model(self, model: int) -> int:
        """Find the first cell of a model's block."""
        return _MODELS_FROM + model * _MODEL_CELLS

    def buckets(self, model: int, step: int) -> int:
        """Find the first bucket of a step; the sum of its seconds lies in the cell before."""
        return self.model(model) + _STEPS_FROM + step * _STEP_CELLS + 1

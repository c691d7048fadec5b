"""What a version was trained on, kept as counts by artifact digest: made once, and read back every day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

import registry
from evidence.drift import ColumnReference, refer_categories, refer_numbers
from registry import RegistryError, RegistryUnavailableError
from storage import Notes, ObjectNotFoundError, stream_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from registry import ModelVersion, Registry
    from storage import S3Settings, Store

# What a training run says of its rows: the Delta table that they were written to, once.
_ROWS_TAG = "greenroom.labelled.training"
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Reference:
    """The columns of the training rows, and what the version predicts for these rows."""

    columns: Mapping[str, ColumnReference]
    prediction: ColumnReference

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON data."""
        columns = {name: each.as_json() for name, each in self.columns.items()}
        return {"columns": columns, "prediction": self.prediction.as_json()}

    @classmethod
    def of_plain(cls, found: Mapping[str, Any]) -> Reference:
        """Read what `to_plain` wrote."""
        columns = {name: ColumnReference.of_json(each) for name, each in found["columns"].items()}
        return cls(columns, ColumnReference.of_json(found["prediction"]))


class References:
    """The references of versions, below a prefix on S3."""

    def __init__(self, prefix: str, at: Registry, store: Store, settings: S3Settings) -> None:
        self._notes = Notes(store, prefix)
        self._registry, self._settings = at, settings
        self._kept: dict[str, Reference | None] = {}
        self.warnings: dict[str, str] = {}

    def of(self, model: str, number: int, digest: str) -> Reference | None:
        """Return the reference of a version; None, and a reason in `warnings`, where there is none."""
        if digest not in self._kept:
            found = self._notes.get(digest or "none")
            self._kept[digest] = Reference.of_plain(found) if found else self._make(model, number, digest)
        return self._kept[digest]

    def _make(self, model: str, number: int, digest: str) -> Reference | None:
        try:
            found = self._measured(*self._trained(model, number, digest))
        except RegistryUnavailableError:
            raise
        except (RegistryError, ObjectNotFoundError) as error:
            said = f"{model} version {number} has no training rows to see drift from: {error}"
            self.warnings[digest] = said
            return None
        self._notes.put_new(digest, found.to_plain())
        return found

    def _trained(self, model: str, number: int, digest: str) -> tuple[ModelVersion, str]:
        version = registry.find_version(self._registry, model, number)
        if version.digest != digest:
            raise RegistryError("its artifact is another by now")
        tags: dict[str, str] = {}
        if version.run_id is not None:
            with registry.translated(f"look at the run {version.run_id}"):
                tags = self._registry.client.get_run(version.run_id).data.tags
        if _ROWS_TAG not in tags:
            raise RegistryError("its run names none")
        return version, tags[_ROWS_TAG]

    def _measured(self, version: ModelVersion, uri: str) -> Reference:
        scorer = registry.load(self._registry, version)
        names = [column.name for column in scorer.columns]
        tables = stream_rows(uri, names, _BATCH_ROWS, self._settings)
        predicted = [np.asarray(scorer.predict(table), np.float64) for table in tables]
        # One column after the other: all at once would be the training rows in memory.
        columns = {name: _refer(stream_rows(uri, [name], _BATCH_ROWS, self._settings)) for name in names}
        return Reference(columns, refer_numbers(np.concatenate(predicted)))


def _refer(tables: Iterator[pa.Table]) -> ColumnReference:
    column = pa.concat_tables(tables).column(0)
    values = column.to_numpy()
    return refer_categories(values) if pa.types.is_string(column.type) else refer_numbers(values)

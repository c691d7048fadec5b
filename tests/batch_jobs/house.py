"""A house without MLflow: it scores files on S3 by the small booster, the way a job does."""

from __future__ import annotations

import io
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from tiny_model import made

from batch_jobs.doubles import refuse_doubles
from batch_jobs.mending.repairs import Repair, Repairs
from batch_jobs.parts import SplitScorer
from batch_jobs.results import SplitResult, together
from batch_jobs.scoring import RowScorer, Rules
from batch_jobs.splits import plan_splits
from storage import file_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batch_jobs.engines import Engine
    from batch_jobs.splits import Split
    from registry import Scorer
    from storage import S3Settings, Store


@dataclass(frozen=True)
class Scored:
    """What became of some files: the result as a whole, and the rows of its parts."""

    result: SplitResult
    rows: list[dict[str, Any]]
    table_uri: str
    scratch: Path

    def only(self, outcome: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["outcome"] == outcome]


class InTurn:
    """The simplest engine: one split after the other."""

    def map(
        self, score: Callable[[Split], SplitResult], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, SplitResult]]:
        return ((split, score(split)) for split in splits)


@dataclass(frozen=True)
class House:
    """Scores files as a job does, on S3."""

    store: Store
    settings: S3Settings
    scorer: Scorer
    folder: Path

    def refuse_doubles(self, found: Scored, *, kept: bool) -> None:
        """Look for doubles, with the hashes that the scoring has kept, or as if another machine had it."""
        scratch = found.scratch if kept else Path(tempfile.mkdtemp(dir=self.folder))
        refuse_doubles(found.table_uri, found.result.parts, ("id",), self.store, 2, scratch)

    def score(
        self,
        files: dict[str, bytes],
        rules: Rules,
        split_bytes: int = 2**20,
        mended: Mapping[tuple[str, int], Mapping[str, str | None]] | None = None,
        engine: Engine | None = None,
    ) -> Scored:
        root = f"s3://greenroom/{uuid.uuid4().hex}"
        for name, body in files.items():
            self.store.write(f"{root}/in/{name}", body)
        scratch = Path(tempfile.mkdtemp(dir=self.folder))
        repairs: dict[str, dict[int, Repair]] = {}
        for (name, position), cells in (mended or {}).items():
            file = f"{root}/in/{name}"
            repairs.setdefault(file, {})[position] = Repair(file, "etag", position, cells, "000001")
        scoring = SplitScorer(
            RowScorer(self.scorer, rules), made(), f"{root}/out", self.settings, scratch, Repairs(repairs)
        )
        splits = plan_splits(self.store.snapshot(f"{root}/in"), self.store, split_bytes)
        results = dict((engine or InTurn()).map(scoring, splits))
        result = together(results[split] for split in splits)
        rows = []
        for part in result.parts:
            found = file_columns(scoring.table_uri, part.path, None, self.store)
            assert len(found) == part.rows
            rows += [{**row, **part.partition} for row in found.to_pylist()]
        for row in rows:
            row["input_file"] = row["input_file"].rpartition("/")[2]
        return Scored(result, rows, scoring.table_uri, scratch)


def csv(rows: Sequence[tuple[str, ...]]) -> bytes:
    return b"id,carrier,distance,temp\n" + "".join(",".join(r) + "\n" for r in rows).encode()


def parquet(rows: dict[str, Any], row_group_size: int = 2) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(rows), buffer, row_group_size=row_group_size)
    return buffer.getvalue()

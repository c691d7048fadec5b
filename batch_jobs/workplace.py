"""What a run works with, what it says on the way, and what it says in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from batch_jobs.engines import Engine
    from registry import Registry
    from storage import S3Settings, Store


@dataclass(frozen=True)
class Progress:
    """How far a run is: bytes of input that are done with and all of them, rows scored and set aside."""

    done_bytes: int
    of_bytes: int
    scored: int
    quarantined: int


@dataclass(frozen=True)
class Workplace:
    """What a run works with: the registry, the data, the engine, and who hears of its progress.

    `run_id` is the MLflow run to record in, where `mlflow run` started one.
    """

    registry: Registry
    store: Store
    settings: S3Settings
    environment: Mapping[str, str]
    progress: Callable[[Progress], None]
    engine: Engine
    workers: int
    run_id: str | None = None

    @classmethod
    def connect(
        cls, environment: Mapping[str, str], engine: Engine, workers: int, run_id: str | None = None
    ) -> Workplace:
        """Connect as the standard variables say; nothing is sent yet."""
        import registry
        from storage import S3Settings, Store

        settings = S3Settings.from_environment(environment)
        return cls(
            registry=registry.connect(environment),
            store=Store.connect(settings),
            settings=settings,
            environment=environment,
            progress=lambda _: None,
            engine=engine,
            workers=workers,
            run_id=run_id,
        )


@dataclass(frozen=True)
class RunReport:
    """What a run did. `published` is False where the partition was up to date already."""

    job: str
    date: dt.date
    model: str
    model_version: int
    table: str
    published: bool = False
    rows: int = 0
    scored: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    table_version: int | None = None
    run_id: str | None = None
    seconds: float = 0.0
    resumed_splits: int = 0
    repaired: int = 0

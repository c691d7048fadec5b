"""From a routes file to a report: what `python -m serving compare` does, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.comparing.errors import NothingToCompareError
from serving.comparing.reading import read_exposures, read_feedback, read_outcomes
from serving.comparing.rows import rows_of, with_feedback, with_outcomes
from serving.comparing.verdict import choose_arm, judge
from serving.errors import RoutesError
from serving.routing.declaration import routes_file
from serving.routing.parsing import parse_routes
from serving.routing.reading import read_yaml
from storage import S3Settings, data_uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from serving.comparing.reading import Period
    from serving.comparing.verdict import Report
    from serving.routing.declaration import Routes


def read_routes(model: str, folder: Path) -> Routes:
    """Read the routes file of a model, or of a name that its file goes by, too. Raises `RoutesError`."""
    path = folder / routes_file(model)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise RoutesError(f"{path} can not be read: {error}. Expected the routes file of {model}") from None
    declared = read_yaml(text, str(path))
    named = declared.get("model") if isinstance(declared, dict) else None
    same = isinstance(named, str) and routes_file(named) == routes_file(model)
    return parse_routes(text, str(named) if same else model, str(path))


def make_report(routes: Routes, arm: str | None, period: Period, environment: Mapping[str, str]) -> Report:
    """Read what there is of a period, and compare. Raises `ServingError` and `StorageError`."""
    chosen = choose_arm(routes, arm)
    if routes.record is None:
        raise NothingToCompareError(
            f"The routes of {routes.model} record nothing; expected `record:` with two tables. Add it, and"
            " compare when there was traffic"
        )
    settings = S3Settings.from_environment(environment)
    exposures = read_exposures(data_uri(routes.record.exposures, environment), period, settings)
    rows, counts = rows_of(exposures, routes.model)
    feedback = read_feedback(data_uri(routes.record.feedback, environment), period, settings)
    rows, sent = with_feedback(rows, feedback)
    counts |= sent
    if routes.outcomes is not None:
        where = data_uri(routes.outcomes.table, environment)
        rows, found = with_outcomes(rows, *read_outcomes(where, routes.outcomes, settings))
        counts |= found
    return judge(rows, routes, chosen, counts)

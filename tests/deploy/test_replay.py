"""`make replay`: some of its days here, all of it where every case is run."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from commands import REPOSITORY

import deploy
from deploy.__main__ import main
from deploy.credentials import Role
from deploy.replay.people import People
from deploy.replay.scene import Endpoint
from deploy.replay.upstream import Upstream
from serving.routing.parsing import parse_routes
from storage import Store

EXHAUSTIVE = "GREENROOM_EXHAUSTIVE" in os.environ
DAY = dt.date(2013, 7, 4)


@pytest.mark.skipif(not EXHAUSTIVE, reason="takes a quarter of an hour; set GREENROOM_EXHAUSTIVE=1")
def test_the_quality_falls_and_a_reviewed_candidate_takes_over(tmp_path: Path) -> None:
    # As `make replay`, but for the file.
    out = tmp_path / "replay.html"
    ran = subprocess.run(
        ["make", "-s", "replay", f"REPLAY=--out {out}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    for happened in (
        r"monitor: auc-low fired: ",
        r"monitor: version \d+, retrained on days until \S+ .* it waits for a reviewer",
        r"operator: version \d+ sees a copy of every request",
        r"reviewer: version \d+ goes to Production: brier",
    ):
        assert re.search(happened, ran.stdout), happened
    page = out.read_text()
    assert page.startswith("<!doctype html>")
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", page), "it is to need no network"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "2013-10-02", "--to", "2013-10-01"], "has to end after 2013-10-02"),
        (["--from", "yesterday"], "'yesterday' is not a day of the replay; expected one from 2013-04-01"),
        (["--to", "2014-01-01"], "to 2013-12-31"),
    ],
)
def test_days_that_can_not_be_played_are_usage(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["replay", *options])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2
    assert said in capsys.readouterr().err


def test_upstream_delivers_a_day_and_later_how_it_went(store: Store) -> None:
    upstream = Upstream.of("flight_delay", {"GREENROOM_DATA": "s3://greenroom/replayed"}, store)
    upstream.deliver_features(DAY)

    def there(source: str) -> bool:
        return bool(upstream.store.snapshot(f"{upstream.locations[source]}/date={DAY}").objects)

    assert (there("features"), there("outcomes")) == (True, False)
    upstream.deliver_outcomes(DAY)
    assert there("outcomes")
    went = upstream.outcomes(DAY)
    # 737 flights were to leave on that day, and one that was cancelled never arrived.
    assert set(went.values()) == {0.0, 1.0}
    assert 0 < len(upstream.days[DAY].features) - len(went) < 20


def test_a_shadow_is_declared_as_the_endpoint_reads_it(tmp_path: Path) -> None:
    endpoint = Endpoint.of(1, "flight_delay.yaml", tmp_path / "routes")
    plain = endpoint.routes.read_text()
    endpoint.declare(7)
    declared = parse_routes(endpoint.routes.read_text(), "flight-delay", str(endpoint.routes))
    (challenger,) = declared.challengers
    assert (challenger.version, challenger.mode) == (7, "shadow")
    endpoint.declare(None)
    assert yaml.safe_load(endpoint.routes.read_text()) == yaml.safe_load(plain)


def test_people_type_with_their_own_environment_and_hear_of_failures() -> None:
    before = dict(os.environ)
    people = People({Role.AUTHOR: {**os.environ, "GREENROOM_DATA": "s3://somewhere"}})
    with pytest.raises(
        deploy.DeployError, match=r"`python -m batch_jobs run nothing .*` ended with exit code 2"
    ):
        people.type(Role.AUTHOR, "python -m batch_jobs run nothing --date 2013-07-01")
    with people.shell(Role.AUTHOR) as environment:
        assert environment["GREENROOM_DATA"] == "s3://somewhere"
    assert dict(os.environ) == before

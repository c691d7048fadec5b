"""What `/metrics` answers is what Prometheus reads, and what the dashboard asks for."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import REPOSITORY
from prometheus_client import openmetrics
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from serving.routing.published import ArmView, Published
from serving.watching import Reason, Tallies
from serving.watching.arm_metrics import ArmMetrics, Routes
from serving.watching.arms import ArmTallies
from serving.watching.exposition import render
from serving.watching.spool_metrics import SpoolMetrics

PREFIX = "greenroom_serving_"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


@dataclass(frozen=True)
class Refused:
    version: int


@dataclass(frozen=True)
class View:
    version: int | None
    seen_at: float
    reachable: bool
    refused: Refused | None


def busy() -> Tallies:
    tallies = Tallies.create(3, ("flights", "diamonds"))
    for slot, version in ((0, 4), (2, 5)):
        tally = tallies.worker(slot)
        tally.loaded(0, version, loaded_at=1_700_000_000.5)
        tally.refused(0)
        tally.line_dropped()
        for spent in (2e-05, 5e-05, 3.1e-04, 0.7, 60.0):
            tally.enter()
            tally.answered(0, 200, 3, 0, 2e-05, spent, spent)
            tally.predicted(0, 3)
        tally.leave()
    return tallies


VIEWS = {"flights": View(4, 990.0, reachable=False, refused=Refused(5)), "diamonds": None}


def families(
    accept: str | None = None, views: dict[str, View | None] = VIEWS, now: float = 1000.0
) -> list[Metric]:
    body, content_type = render(busy(), views, now, accept)
    if content_type.startswith("application/openmetrics-text; version=1.0.0"):
        return list(read_openmetrics(body.decode()))  # type: ignore[no-untyped-call]
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return list(read_text(body.decode()))


def gauge(
    name: str, views: dict[str, View | None] = VIEWS, now: float = 1000.0
) -> dict[tuple[str, ...], float]:
    (family,) = (each for each in families(views=views, now=now) if each.name == PREFIX + name)
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


@pytest.mark.parametrize("accept", [None, OPENMETRICS, "*/*", "application/openmetrics-text; version=x.y"])
def test_prometheus_reads_it_in_the_format_that_it_asks_for(accept: str | None) -> None:
    read = families(accept)
    assert len({family.name for family in read}) == len(read) == 15
    for family in read:
        assert family.name.startswith(PREFIX)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")


def test_it_is_openmetrics_where_that_is_asked_for() -> None:
    assert render(busy(), {}, 0, OPENMETRICS)[0].endswith(b"# EOF\n")
    assert render(busy(), {}, 0, OPENMETRICS)[1] == openmetrics.exposition.CONTENT_TYPE_LATEST


def test_buckets_are_cumulative_and_agree_with_the_count() -> None:
    (histogram,) = (family for family in families() if family.type == "histogram")
    series: dict[tuple[str, str], dict[str, float]] = {}
    for sample in histogram.samples:
        labels = dict(sample.labels)
        key = labels.pop("le", sample.name.rpartition("_")[2])
        series.setdefault((labels["model"], labels["step"]), {})[key] = sample.value
    assert len(series) == 2 * 4
    for of_step in series.values():
        count, total = of_step.pop("count"), of_step.pop("sum")
        buckets = sorted((float(bound), value) for bound, value in of_step.items())
        counts = [value for _, value in buckets]
        assert counts == sorted(counts)
        assert buckets[0][0] == 5e-05
        assert buckets[-2][0] == 10
        assert buckets[-1] == (math.inf, count)
        assert (total > 0) == (count > 0)
    predict = series["flights", "predict"]
    assert (predict["5e-05"], predict["0.0003"], predict["0.0005"], predict["10.0"]) == (4, 4, 6, 8)
    assert series["flights", "read"]["+Inf"] == 0


def test_workers_that_have_not_converged_are_seen() -> None:
    assert gauge("model_version") == {
        ("flights", "0"): 4,
        ("flights", "2"): 5,
        ("diamonds", "0"): 0,
        ("diamonds", "2"): 0,
    }
    assert gauge("workers") == {(): 2}
    assert gauge("in_flight_requests") == {(): 8}
    assert gauge("model_loaded_timestamp_seconds")["flights", "0"] == 1_700_000_000.5


def test_the_view_of_the_registry_is_told() -> None:
    assert gauge("followed_version") == {("flights",): 4, ("diamonds",): 0}
    assert gauge("registry_reachable") == {("flights",): 0, ("diamonds",): 0}
    assert gauge("registry_view_age_seconds") == {("flights",): 10, ("diamonds",): math.inf}
    assert gauge("version_refused") == {("flights", "5"): 1}


def test_a_clock_that_was_set_back_and_a_registry_never_seen() -> None:
    views: dict[str, View | None] = {
        "flights": View(4, 1050.0, reachable=True, refused=None),
        "diamonds": View(None, 0, reachable=False, refused=None),
    }
    assert gauge("registry_view_age_seconds", views) == {("flights",): 0, ("diamonds",): math.inf}
    assert gauge("registry_reachable", views)["flights",] == 1
    assert gauge("version_refused", views) == {}


def test_every_reason_and_every_label_is_there_from_the_start() -> None:
    text = render(Tallies.create(1, ('a"\\\n',)), {}, 0)[0].decode()
    read = {family.name: family for family in read_text(text)}
    rejections = read[PREFIX + "rejections"].samples
    assert {sample.labels["reason"]: sample.value for sample in rejections} == dict.fromkeys(Reason, 0)
    assert {sample.labels["model"] for sample in read[PREFIX + "rows"].samples} == {'a"\\\n'}


def rendered_names() -> set[str]:
    routes = [Routes("flights", Published("flights", (ArmView("later", "ab", idle="none is approved"),)), {})]
    arms = ArmMetrics(ArmTallies.create(1, 1), routes).collect()
    spools = SpoolMetrics({"flights": (Path("nowhere"), 256)}).collect()
    return {sample.name for family in (*families(), *arms, *spools) for sample in family.samples}


def test_the_dashboard_asks_for_what_is_rendered_and_is_what_grafana_reads() -> None:
    board = json.loads((REPOSITORY / "deploy" / "grafana" / "serving.json").read_text())
    assert board["schemaVersion"] >= 39
    assert board["id"] is None
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
    assert board["time"].keys() == {"from", "to"}

    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    asked = set(re.findall(rf"{PREFIX}\w+", json.dumps(board)))
    assert asked <= rendered_names()
    assert {
        f"{PREFIX}{name}"
        for name in (
            "requests_total",
            "step_seconds_bucket",
            "rejections_total",
            "arm_requests_total",
            "spool_bytes",
        )
    } <= asked

    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["type"] in ("timeseries", "stat", "state-timeline")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert PREFIX in target["expr"]
            assert target["expr"].count("(") == target["expr"].count(")")
            assert target["datasource"] == panel["datasource"]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not taken & cells
        taken |= cells


def test_the_page_of_metrics_names_all_of_them_and_no_others() -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    metrics, rest = page.split("## What to alert on")
    table = set(re.findall(r"^\| `(\w+)", metrics, re.MULTILINE))
    assert table == {
        re.sub("_(bucket|sum|count)$", "", name.removeprefix(PREFIX)) for name in rendered_names()
    }
    assert set(re.findall(rf"{PREFIX}\w+", rest)) <= rendered_names()
    assert set(Reason) <= set(re.findall(r"`(\w+)`", metrics))


def test_it_is_imported_without_what_only_the_follower_needs() -> None:
    heavy = "mlflow", "pandas", "numpy", "pyarrow", "xgboost", "registry"
    code = (
        "import serving.watching.exposition, serving.watching.logs, sys\n"
        f"print(sorted(set({heavy!r}) & sys.modules.keys()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert run.stdout == "[]\n"

"""The report and the metrics for Prometheus, from figures that are made here."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from commands import REPOSITORY
from prometheus_client.parser import text_string_to_metric_families as read_text

from batch_jobs.job import read_job
from batch_jobs.monitoring import prometheus
from batch_jobs.monitoring.alerts.events import AlertEvent
from batch_jobs.monitoring.declared import Monitor
from batch_jobs.monitoring.figures import DayFigures, Figure
from batch_jobs.monitoring.names import PREDICTION
from batch_jobs.monitoring.report.content import sections, tiles
from batch_jobs.monitoring.report.page import write_page
from batch_jobs.monitoring.report.series import Reign, calibration, reigns, series

FIRST = dt.date(2013, 9, 1)
HOSTILE = '<script>alert("x")</script> $\\frac{1}$ & _carrier'
JOB = read_job("flight_delay")
assert JOB.monitor is not None
MONITOR: Monitor = replace(JOB.monitor, exposures="flight_delay/exposures")
EVENTS = (
    AlertEvent("auc-low", 1, "fired", FIRST + dt.timedelta(days=9), "page", "retrain", 1, 0.6, HOSTILE, "id"),
)


def figures_of(nth: int) -> tuple[Figure, ...]:
    version = 1 if nth < 12 else 2
    at = Figure("batch", version, "", 0.0, 900)
    counts = {"scored": 900, "quarantined": 40 * (nth % 5 == 0), "labelled": 850, "labelled_share": 0.94}
    counts |= {"outcomes_contradicted": 2}
    found = [replace(at, metric=name, value=value) for name, value in counts.items()]
    for metric, value in (("auc", 0.75), ("log_loss", 0.5), ("brier", 0.17), ("calibration_error", 0.05)):
        of = replace(at, metric=metric, value=value - nth / 200)
        found += [of, replace(of, days=14, low=value - 0.1, high=value + 0.1, rows=9000)]
        found.append(replace(of, days=14, low=None, slice=f"carrier={HOSTILE}", rows=100))
    for low in range(1, 9):
        of = replace(at, slice=f"{PREDICTION}=0.{low} to 0.{low + 1}", rows=100)
        found.append(replace(of, metric="mean_prediction", value=low / 10 + 0.05))
        found.append(replace(of, metric="mean_outcome", value=low / 10 + 0.02 * (nth % 3)))
    for feature, psi in (("temp", nth / 20), (HOSTILE, 0.01), (PREDICTION, 0.1)):
        of = replace(at, feature=feature, days=14)
        found += [replace(of, metric="psi", value=psi), replace(of, metric="jensen_shannon", value=psi / 4)]
        found += [
            replace(of, metric="missing_share", value=0.1),
            replace(of, metric="unseen_share", value=0.0),
        ]
    found.append(replace(at, metric="drifted_features", value=nth % 3, days=14))
    online = replace(at, source="online")
    found += [replace(online, metric="scored"), replace(online, metric="auc", value=0.7)]
    found.append(replace(online, metric="skew_share", value=0.02, feature="temp"))
    return tuple(found)


DAYS = {
    FIRST + dt.timedelta(days=nth): DayFigures(
        FIRST + dt.timedelta(days=nth), figures_of(nth), "digest", "run"
    )
    for nth in range(20)
}


class Page(HTMLParser):
    """What a browser would find in the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def written() -> str:
    done = {"auc-low.000001": {"said": f"version 3, {HOSTILE}"}}
    found = sections(MONITOR, DAYS, EVENTS, done)
    return write_page(f"flight_delay {HOSTILE}", ("said",), tiles(DAYS, MONITOR, EVENTS), found)


def test_the_page_says_it_all_and_fetches_nothing(written: str) -> None:
    page = Page(written)
    text = " ".join(page.text)
    for heading in (
        "Quality over time",
        "Alerts",
        "Calibration",
        "Drift against",
        "Slices",
        "Volumes",
        "skew",
    ):
        assert heading in text
    assert "Retrained: version 3" in text
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/svg+xml;base64,"))
    policy = [attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_names_of_columns_and_reasons_are_text_also_in_pictures(written: str) -> None:
    assert HOSTILE in "".join(Page(written).text)
    assert "<script" not in written
    images = [attributes for tag, attributes in Page(written).tags if tag == "img"]
    assert len(images) >= 9
    for image in images:
        assert image["alt"]
        svg = base64.b64decode(str(image["src"]).partition(",")[2]).decode()
        assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert "<script" not in svg


def test_what_is_beyond_a_threshold_is_told_apart(written: str) -> None:
    rows = re.findall(r"<tr class=bad>(.*?)</tr>", written)
    assert [re.sub("<.*?>", " ", row).split()[0] for row in rows] == ["2013-09-10", "temp"]


def test_the_same_figures_give_the_same_page(written: str) -> None:
    again = sections(MONITOR, DAYS, EVENTS, {"auc-low.000001": {"said": f"version 3, {HOSTILE}"}})
    assert write_page(f"flight_delay {HOSTILE}", ("said",), tiles(DAYS, MONITOR, EVENTS), again) == written


def test_reigns_are_marked_and_series_follow_them() -> None:
    assert reigns(DAYS) == [
        Reign(1, FIRST, FIRST + dt.timedelta(days=11)),
        Reign(2, FIRST + dt.timedelta(days=12), FIRST + dt.timedelta(days=19)),
    ]
    assert [point.figure.model_version for point in series(DAYS, "auc")] == [1] * 12 + [2] * 8
    assert {point.figure.days for point in series(DAYS, "auc", window=True)} == {14}


def test_calibration_weighs_days_by_their_rows() -> None:
    bins = calibration(DAYS, 1)
    assert len(bins) == 8
    assert bins[0].predicted == pytest.approx(0.15)
    assert bins[0].observed == pytest.approx(np.mean([0.1 + 0.02 * (nth % 3) for nth in range(12)]))
    assert bins[0].low < bins[0].observed < bins[0].high
    assert bins[0].rows == 1200


@pytest.mark.parametrize("days", [{}, {FIRST: DayFigures(FIRST, ())}])
def test_a_period_without_figures_is_a_page_too(days: dict[dt.date, DayFigures]) -> None:
    page = write_page("x", (), tiles(days, MONITOR, ()), sections(MONITOR, days, (), {}))
    text = "".join(Page(page).text)
    assert "No day of this period was measured." in text
    assert "No outcomes are known yet." in text


def rendered() -> dict[str, list[tuple[dict[str, str], float]]]:
    body = prometheus.render(JOB, DAYS[max(DAYS)], EVENTS).decode()
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in read_text(body)
    }


def test_prometheus_reads_the_newest_figures() -> None:
    found = rendered()
    quality = {
        (labels["metric"], labels["days"], labels["bound"]): value
        for labels, value in found["greenroom_monitoring_quality"]
        if labels["source"] == "batch" and labels["slice"] == "all"
    }
    assert quality["auc", "14", "low"] == pytest.approx(0.65)
    assert quality["auc", "1", "value"] == pytest.approx(0.75 - 19 / 200)
    assert ("auc", "1", "low") not in quality
    drift = {labels["feature"] for labels, _ in found["greenroom_monitoring_drift"]}
    assert drift == {"temp", HOSTILE, PREDICTION}
    firing = {labels["alert"]: value for labels, value in found["greenroom_monitoring_alert_firing"]}
    assert firing["auc-low"] == 1
    assert set(firing.values()) == {0, 1}
    (day,) = found["greenroom_monitoring_day_timestamp_seconds"]
    assert day == ({"batch_job": "flight_delay"}, 1_379_635_200.0)


def test_the_dashboard_asks_for_what_is_rendered_and_is_what_grafana_reads() -> None:
    board: dict[str, Any] = json.loads((REPOSITORY / "deploy" / "grafana" / "monitoring.json").read_text())
    assert board["schemaVersion"] >= 39
    assert board["id"] is None
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
    assert set(re.findall(rf"{prometheus.PREFIX}\w+", json.dumps(board))) == set(rendered())
    known: dict[str, set[str]] = {
        name: set().union(*(labels for labels, _ in samples)) for name, samples in rendered().items()
    }
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            (name,) = re.findall(rf"{prometheus.PREFIX}\w+", target["expr"])
            asked = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", target["expr"]))
            assert asked <= known[name], (panel["title"], asked)
            assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= known[name]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not taken & cells
        taken |= cells


def test_what_is_surely_off_is_told_and_not_what_only_has_many_rows(written: str) -> None:
    told, *_ = re.findall(r"Furthest off: (.*?)[<\"]", written)
    said = re.findall(r"Version (\d): where ([\d.]+) was .*?, ([\d.]+) came", told)
    for version, predicted, observed in said:
        bins = calibration(DAYS, int(version))
        gaps = {f"{b.predicted:.2f}": max(b.low - b.predicted, b.predicted - b.high) for b in bins}
        assert gaps[predicted] == max(gaps.values())
        assert observed in {f"{each.observed:.2f}" for each in bins}
    assert [version for version, *_ in said] == ["1", "2"]

"""`project.yaml`: the real one, and every way to get it wrong."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import REPOSITORY, run_command

from evidence import Gate, metric_names
from projects import declaration
from projects.__main__ import main
from projects.declaration import project_names, read_project
from projects.errors import DeclarationError
from projects.parsing import parse_project
from projects.parts import Side, Window

REMOVED = object()


def real() -> dict[str, Any]:
    text = (REPOSITORY / "projects/flight_delay/project.yaml").read_text()
    return dict(yaml.safe_load(text))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The real declaration with one value changed; `path` is `key` or `key.key`."""
    found = real()
    *above, last = path.split(".")
    inside = found
    for key in above:
        inside = inside[key]
    if value is REMOVED:
        del inside[last]
    else:
        inside[last] = value
    return found


def test_the_real_one_parses() -> None:
    project = read_project("flight_delay")
    assert project_names() == ["diamond_price", "flight_delay"]
    assert (project.name, project.model) == ("flight_delay", "flight-delay")
    assert (project.row_key, project.label) == ("flight_id", "late")
    assert project.window == Window(dt.date(2013, 1, 1), dt.date(2013, 6, 30))
    assert str(project.training_part()) == "2013-01-01 to 2013-06-30"
    assert len(project.window.days) == 181
    assert project.slices == {"origin": None, "carrier": None, "distance": (500.0, 1000.0, 2000.0)}
    assert project.task == "classification"
    assert list(project.features.values()).count("category") == 3
    assert project.gates[0] == Gate("auc", at_least=0.62)
    assert set(project.metrics) <= set(metric_names("classification"))
    assert project.dataset is not None
    assert callable(project.dataset.label)


def test_one_without_time_parses() -> None:
    project = read_project("diamond_price")
    assert project.task == "regression"
    assert (project.time, project.window, project.validation_days) == (None, None, None)
    assert project.training_part() == Side(0.2, "training")
    assert str(project.training_part()) == "80 % of the row keys, for training"
    with pytest.raises(DeclarationError, match="has no time column; leave --since and --until out"):
        project.training_part(since=dt.date(2024, 1, 1))


@pytest.mark.parametrize("key", sorted(real().keys() - {"limits", "search", "slices"}))
def test_these_keys_are_required(key: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        parse_project("flight_delay", changed(key, REMOVED))
    assert str(refusal.value).startswith(f"projects/flight_delay/project.yaml: the key {key!r} is missing")


def test_these_keys_are_not() -> None:
    found = real()
    del found["limits"], found["slices"]
    project = parse_project("flight_delay", found)
    assert (project.limits, project.slices) == ((), {})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "blue", "unknown key 'colour'; known are model, description, row_key, "),
        ("name", "other", "unknown key 'name'; known are model"),
        ("model", 7, "model is 7, expected str"),
        ("model", None, "model is None, expected str"),
        ("label", ["late"], "label is ['late'], expected str"),
        ("rounds", "many", "rounds is 'many', expected int"),
        ("rounds", 1.5, "rounds is 1.5, expected int"),
        ("rounds", True, "rounds is True, expected int"),
        ("rounds", 0, "rounds is 0, expected at least 1"),
        ("validation_days", -3, "validation_days is -3, expected at least 1"),
        ("seed", -1, "seed is -1, expected at least 0"),
        ("features", {}, "features is empty, expected at least one column"),
        ("features", ["carrier"], "features: found ['carrier'], expected keys and values"),
        ("features.carrier", "text", "features: carrier is 'text', expected number or category"),
        ("features.carrier", ["number"], "features: carrier is ['number'], expected number or category"),
        ("features", {True: "number"}, "features: True is no column name; write it in quotes"),
        ("features.late", "number", "the label 'late' is among the features; take it out"),
        ("features.flight_id", "category", "the row_key 'flight_id' is among the features; take it out"),
        ("window", "2013", "window: found '2013', expected keys and values"),
        ("window.since", "January", "window: since is 'January', expected YYYY-MM-DD"),
        ("window.until", 20130630, "window: until is '20130630', expected YYYY-MM-DD"),
        ("window.until", REMOVED, "window: until is missing, expected YYYY-MM-DD"),
        (
            "window.until",
            dt.datetime(2013, 6, 30, 12),  # noqa: DTZ001  # what YAML makes of a time without a zone
            "window: until is '2013-06-30 12:00:00', expected YYYY-MM-DD",
        ),
        ("window.from", dt.date(2013, 1, 1), "window: unknown key 'from'; known are since, until"),
        ("window.until", dt.date(2012, 12, 31), "window: it ends 2012-12-31, before it begins"),
        ("sources", "flight_delay", "sources: found 'flight_delay', expected keys and values"),
        ("sources.labels", "x", "sources: found ['features', 'outcomes', 'labels'], expected features, and "),
        ("sources.features", 7, "sources: features is 7, expected a location under GREENROOM_DATA"),
        ("time", "carrier", "the time 'carrier' is among the features; take it out"),
        ("held_out", 0.2, "held_out is for rows without time; take it out, or time"),
        (
            "objective",
            "multi:softmax",
            "the objective 'multi:softmax' is not supported; expected binary:logistic",
        ),
        ("features._x", "number", "features: '_x' begins with '_'; rename it upstream"),
        ("limits", "none", "limits: found 'none', expected a list"),
        ("limits", [7], "limits: found 7, expected sentences"),
        (
            "slices",
            ["tailnum"],
            "slices: 'tailnum' is no feature; expected one, or month where there is time",
        ),
        ("slices", ["distance"], "slices: distance is a number; expected {column: distance, bands: […]}"),
        (
            "slices",
            [{"column": "distance"}],
            "slices: found {'column': 'distance'}, expected column and bands",
        ),
        (
            "slices",
            [{"column": "distance", "bands": [500, 100]}],
            "slices: distance: bands are [500, 100], expected rising numbers",
        ),
        (
            "slices",
            [{"column": "carrier", "bands": [1]}],
            "slices: carrier is a category, which has no bands",
        ),
        ("parameters", [6], "parameters: found [6], expected keys and values"),
        ("parameters.objective", "x", "parameters: objective is declared as objective; take it out here"),
        ("parameters.random_state", 7, "parameters: random_state is declared as seed; take it out here"),
        ("parameters.max_depth", [6], "parameters: max_depth is [6], expected a number or a word"),
        ("parameters.max_depth", None, "parameters: max_depth is None, expected a number or a word"),
        ("metrics", [], "metrics is empty, expected at least one"),
        ("metrics", "auc", "metrics: found 'auc', expected a list"),
        ("metrics", ["f1"], "metrics: there is no metric 'f1' for classification; there is: auc, log_loss, "),
        ("metrics", [["auc"]], "metrics: there is no metric ['auc'] for classification; there is: auc, log"),
        (
            "metrics",
            ["rmse"],
            "metrics: there is no metric 'rmse' for classification; there is: auc, log_loss",
        ),
        ("gates", None, "gates: found None, expected a list"),
        ("gates", ["auc"], "gates: found 'auc', expected keys and values"),
        (
            "gates",
            [{"metric": "f1", "at_least": 1}],
            "gates: The gate on f1: there is no such metric; there is: ",
        ),
        (
            "gates",
            [{"at_least": 1}],
            "gates: A gate is on a metric or on a quality of the data; found neither",
        ),
        (
            "gates",
            [{"metric": "auc"}],
            (
                "gates: The gate on auc has no bound, expected one of at_least, at_most, "
                "worse_than_champion_by_at_most"
            ),
        ),
        (
            "gates",
            [{"metric": "auc", "at_least": 0.6, "at_most": 0.9}],
            "gates: The gate on auc has at_least and at_most, expected one of at_least, at_most, ",
        ),
        (
            "gates",
            [{"metric": "auc", "more_than": 0.6}],
            "gates: unknown key 'more_than'; known are metric, quality, slice, on, at_least, ",
        ),
        (
            "gates",
            [{"quality": "leekage", "at_most": 0.9}],
            "gates: there is no quality 'leekage' of data; there is: rows, missing_share, leakage, rej",
        ),
        ("gates", [{"metric": "auc", "at_least": "high"}], "gates: at_least is 'high', expected a number"),
        ("gates", [{"metric": "auc", "at_least": True}], "gates: at_least is True, expected a number"),
        ("gates", [{"metric": "auc", "at_least": float("nan")}], "gates: at_least is nan, expected a number"),
        ("gates", [{"metric": 7, "at_least": 0.6}], "gates: metric is 7, expected a word"),
        (
            "gates",
            [{"metric": "auc", "slice": "dest", "at_least": 0.6}],
            "gates: The gate on auc judges each dest, which is not among the slices: origin",
        ),
        (
            "metrics",
            ["log_loss"],
            "gates: The gate on auc judges what is not among the metrics; add it there",
        ),
    ],
)
def test_a_wrong_one_is_refused_with_file_key_and_value(path: str, value: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        parse_project("flight_delay", changed(path, value))
    assert str(refusal.value).startswith(f"projects/flight_delay/project.yaml: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"- model\n- label\n",
            "projects/broken/project.yaml: found ['model', 'label'], expected keys and values",
        ),
        (b"", "projects/broken/project.yaml: found None, expected keys and values"),
        (b"model: [unclosed\n", "projects/broken/project.yaml is not YAML: while parsing"),
        (b"\tmodel: x\n", "projects/broken/project.yaml is not YAML: while scanning"),
        ("model: vergnügt\n".encode("latin-1"), "projects/broken/project.yaml is not YAML: "),
        (b"model: !!python/object:os.system x\n", "projects/broken/project.yaml is not YAML: could not"),
    ],
)
def test_a_file_that_holds_no_declaration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/project.yaml").write_bytes(content)
    monkeypatch.setattr(declaration, "ROOT", tmp_path)
    with pytest.raises(DeclarationError) as refusal:
        read_project("broken")
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize("verb", ["deliver", "train", "validate --version 1"])
@pytest.mark.parametrize("name", ["flight-delay", "../registry", "", "x" * 300])
def test_an_unknown_project_is_a_usage_error(
    verb: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *options = verb.split()
    assert main([first, name, *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"projects: There is no project {name[:80]!r}; there is: diamond_price, flight_delay. A project is a"
        " folder"
        " projects/NAME with a project.yaml\n"
    )


def test_an_unknown_project_in_a_process_of_its_own() -> None:
    import os
    import sys

    done = run_command([sys.executable, "-m", "projects", "train", "nothing"], os.environ)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "projects: There is no project 'nothing'; there is: diamond_price, flight_delay."
    )
    assert "Traceback" not in done.stderr

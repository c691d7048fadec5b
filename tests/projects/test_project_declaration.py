"""`project.yaml`: the real one, and every way to get it wrong."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import REPOSITORY, run_command

from evidence import METRICS, Gate
from projects import declaration
from projects.__main__ import main
from projects.declaration import Window, parse_project, project_names, read_project
from projects.errors import DeclarationError

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
    assert project_names() == ["flight_delay"]
    assert (project.name, project.model) == ("flight_delay", "flight-delay")
    assert (project.row_key, project.label) == ("flight_id", "late")
    assert project.window == Window(dt.date(2013, 1, 1), dt.date(2013, 6, 30))
    assert str(project.window) == "2013-01-01 to 2013-06-30"
    assert len(project.window.days) == 181
    assert list(project.features.values()).count("category") == 3
    assert project.gates[0] == Gate("auc", at_least=0.62)
    assert set(project.metrics) <= set(METRICS)
    assert callable(project.dataset.label)


@pytest.mark.parametrize("key", sorted(real()))
def test_every_key_is_required(key: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        parse_project("flight_delay", changed(key, REMOVED))
    assert str(refusal.value) == f"projects/flight_delay/project.yaml: the key {key!r} is missing"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("colour", "blue", "unknown key 'colour'; known are model, description, features_at, "),
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
        ("parameters", [6], "parameters: found [6], expected keys and values"),
        ("parameters.max_depth", [6], "parameters: max_depth is [6], expected a number or a word"),
        ("parameters.max_depth", None, "parameters: max_depth is None, expected a number or a word"),
        ("metrics", "auc", "metrics: found 'auc', expected a list"),
        ("metrics", ["f1"], "metrics: there is no metric 'f1'; there is: auc, log_loss, brier"),
        ("metrics", [["auc"]], "metrics: there is no metric ['auc']; there is: auc, log_loss, brier"),
        ("gates", None, "gates: found None, expected a list"),
        ("gates", ["auc"], "gates: found 'auc', expected keys and values"),
        ("gates", [{"metric": "f1", "at_least": 1}], "gates: there is no metric 'f1'; there is: auc"),
        ("gates", [{"at_least": 1}], "gates: there is no metric None; there is: auc, log_loss, brier"),
        (
            "gates",
            [{"metric": "auc"}],
            (
                "gates: the gate on auc has no bound, expected one of at_least, at_most, "
                "worse_than_champion_by_at_most"
            ),
        ),
        (
            "gates",
            [{"metric": "auc", "at_least": 0.6, "at_most": 0.9}],
            "gates: the gate on auc has ['at_least', 'at_most'], expected one of at_least, at_most, ",
        ),
        (
            "gates",
            [{"metric": "auc", "more_than": 0.6}],
            "gates: the gate on auc has ['more_than'], expected one of at_least, at_most, ",
        ),
        (
            "gates",
            [{"metric": "auc", "at_least": "high"}],
            "gates: the gate on auc: at_least is 'high', expected a number",
        ),
        (
            "gates",
            [{"metric": "auc", "at_least": True}],
            "gates: the gate on auc: at_least is True, expected a number",
        ),
        (
            "gates",
            [{"metric": "auc", "at_least": float("nan")}],
            "gates: the gate on auc: at_least is nan, expected a number",
        ),
        (
            "metrics",
            ["log_loss"],
            "gates: the gate on auc judges what is not among the metrics; add it",
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
        (b"- model\n- label\n", "projects/broken/project.yaml: found list, expected keys and values"),
        (b"", "projects/broken/project.yaml: found NoneType, expected keys and values"),
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
        f"projects: There is no project {name[:80]!r}; there is: flight_delay. A project is a folder"
        " projects/NAME with a project.yaml\n"
    )


def test_an_unknown_project_in_a_process_of_its_own() -> None:
    import os
    import sys

    done = run_command([sys.executable, "-m", "projects", "train", "nothing"], os.environ)
    assert done.returncode == 2
    assert done.stderr.startswith("projects: There is no project 'nothing'; there is: flight_delay.")
    assert "Traceback" not in done.stderr

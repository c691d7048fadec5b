"""Suite files: what is read, what is refused, and in which words."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from expectations import SuiteError, check, load_suite

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "x"}}


def write(folder: Path, document: object) -> Path:
    path = folder / "suite.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def suite_of(**expectation: Any) -> dict[str, Any]:
    return {"name": "s", "expectations": [NOT_NULL, expectation]}


@pytest.mark.parametrize("name", ["flight_delay/input", "flight_delay/predictions"])
def test_shipped_suites_are_great_expectations_own_format(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name

    document = json.loads(suite.path.read_text())
    check(pa.table({"prediction": [0.5]}), suite)  # raises if a type or keyword is unknown
    from great_expectations.core.expectation_suite import ExpectationSuite

    read_by_gx = ExpectationSuite(**document).to_json_dict()["expectations"]
    assert [(e["type"], e["severity"]) for e in read_by_gx] == [
        (e.type, e.severity) for e in suite.expectations
    ]
    assert [e["kwargs"] for e in read_by_gx] == [dict(e.kwargs) for e in suite.expectations]


def test_the_digest_depends_on_content_not_on_layout(tmp_path: Path) -> None:
    document = suite_of(**NOT_NULL)
    plain = load_suite(write(tmp_path, document)).digest
    indented = json.dumps(dict(reversed(document.items())), indent=4)
    assert load_suite(write(tmp_path, indented)).digest == plain
    document["expectations"][1] = {**NOT_NULL, "severity": "warning"}
    assert load_suite(write(tmp_path, document)).digest != plain
    assert len(plain) == 64


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not JSON (Expecting value"),
        ('{"name": "a", "name": "b"}', "not JSON (key 'name' appears twice)"),
        ('{"name": NaN}', "not JSON (NaN is not a JSON number)"),
        ("[" * 100_000, "not JSON (maximum recursion depth"),
        ([], "holds [], expected an object with a suite"),
        ({"nam": "s"}, "unknown key nam, expected one of expectations, id, meta, name, notes"),
        ({"expectations": []}, "name is missing, expected a non-empty string"),
        ({"name": "s"}, "expectations is missing, expected a list of at least one"),
        ({"name": "s", "expectations": []}, "expectations is [], expected a list of at least one"),
        (
            {"name": "s", "expectations": [NOT_NULL], "suite_parameters": {"a": 1}},
            "suite_parameters are not supported; write the values themselves",
        ),
        ({"name": "s", "expectations": [7]}, "expectations[0] is 7, expected an object"),
        (suite_of(typ="x"), "unknown key expectations[1].typ, expected one of description,"),
        (suite_of(kwargs={}), "expectations[1].type is missing, expected an expectation's name"),
        (suite_of(type="t", kwargs=[]), "expectations[1].kwargs is [], expected an object"),
        (
            suite_of(type="t", kwargs={"min_value": {"$PARAMETER": "low"}}),
            "expectations[1].kwargs.min_value is a suite parameter, which is not supported",
        ),
        (
            suite_of(**NOT_NULL, severity="fatal"),
            "expectations[1].severity is 'fatal', expected one of critical, warning, info",
        ),
        (suite_of(**NOT_NULL, meta=3), "expectations[1].meta is 3, expected an object"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(tmp_path: Path, document: object, message: str) -> None:
    path = write(tmp_path, document)
    with pytest.raises(SuiteError) as refusal:
        load_suite(path)
    assert str(refusal.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("name", ["nowhere.json", "flight_delay/output", ""])
def test_a_missing_file_names_the_suites_there_are(name: str) -> None:
    with pytest.raises(
        SuiteError,
        match=r"cannot be read \(.*\); expected a suite as JSON in UTF-8, "
        "or one of diamond_price/input, diamond_price/predictions, flight_delay/input, "
        "flight_delay/predictions",
    ):
        load_suite(name)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            {"type": "expect_column_value_to_be_unique"},
            "expectations[1].type is 'expect_column_value_to_be_unique', unknown to Great Expectations 1.",
        ),
        (
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "x", "min": 0, "max_value": 1},
            },
            (
                "expectations[1].kwargs has unknown key 'min' for expect_column_values_to_be_between, "
                "expected some of"
            ),
        ),
        (
            {**NOT_NULL, "kwargs": {"column": "x", "result_format": "BASIC"}},
            "expectations[1].kwargs has unknown key 'result_format' for expect_column_values_to_no",
        ),
        (
            {**NOT_NULL, "kwargs": {}},
            "expectations[1].kwargs.column does not suit expect_column_values_to_not_be_null: field required",
        ),
        (
            {**NOT_NULL, "kwargs": {"column": "x", "mostly": 2}},
            (
                "expectations[1].kwargs.mostly does not suit expect_column_values_to_not_be_null: "
                "ensure this value is less than or equal to 1.0"
            ),
        ),
        (
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x"}},
            (
                "expectations[1].kwargs does not suit expect_column_values_to_be_between: "
                "min_value and max_value cannot both be None"
            ),
        ),
    ],
)
def test_what_great_expectations_does_not_know_is_refused(
    tmp_path: Path, expectation: dict[str, Any], message: str
) -> None:
    suite = load_suite(write(tmp_path, suite_of(**expectation)))
    with pytest.raises(SuiteError) as refusal:
        check(pa.table({"x": [1]}), suite)
    assert str(refusal.value).startswith(f"{suite.path}: {message}")

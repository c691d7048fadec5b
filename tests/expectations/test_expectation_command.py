"""`python -m expectations`: exit codes, output, and what it does not import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flight_rows import day
from pyarrow import csv, parquet

from expectations import CheckFailure, Report, RowFailure, render
from expectations.__main__ import main


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "day=1"
    folder.mkdir()
    parquet.write_table(day(7, 1), folder / "fit.parquet")
    parquet.write_table(day(7, 27), folder / "dirty.parquet")
    csv.write_csv(day(7, 1), folder / "fit.csv")
    (folder / "empty.csv").touch()
    (folder / "header.csv").write_text("prediction\n")
    (folder / "ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    (folder / "latin1.csv").write_bytes("a,b\nM\xfcnchen,2\n".encode("latin-1"))
    (folder / "magic.parquet").write_bytes(b"PAR2" * 10)
    (folder / "cut.parquet").write_bytes((folder / "fit.parquet").read_bytes()[:-20])
    (folder / "notes.txt").touch()
    return folder


@pytest.mark.parametrize("name", ["fit.parquet", "fit.csv"])
def test_fit_data(files: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "flight_delay/input", str(files / name)]) == 0
    printed, complained = capsys.readouterr()
    assert printed.startswith("flight_delay/input (")
    assert printed.endswith("): fit, 966 rows checked\n")
    assert complained == ""


def test_unfit_data(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "flight_delay/input", str(files / "dirty.parquet")]) == 3
    printed = capsys.readouterr().out
    assert "unfit, 1 of 811 rows fail" in printed
    assert "row 808: distance is 17, expected between 50 and 12500" in printed


def test_json_holds_the_report(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = Path("expectations/flight_delay/input.json")
    assert main(["check", str(suite), str(files / "dirty.parquet"), "--json"]) == 3
    printed = json.loads(capsys.readouterr().out)
    assert printed["is_fit"] is False
    assert printed["rows"] == 811
    assert printed["row_failures"] == [
        {"position": 808, "reasons": ["distance is 17, expected between 50 and 12500"]}
    ]


@pytest.mark.parametrize(
    ("suite", "file", "code", "message"),
    [
        ("flight_delay/none", "fit.csv", 2, "none.json: cannot be read ("),
        ("flight_delay/input", "absent.csv", 2, "absent.csv: no such file; expected a local"),
        ("flight_delay/input", "notes.txt", 2, "suffix is '.txt', expected .parquet or .csv"),
        ("flight_delay/input", "empty.csv", 3, "cannot be read as csv (Empty CSV file)"),
        ("flight_delay/input", "ragged.csv", 3, "Expected 2 columns, got 3"),
        ("flight_delay/input", "magic.parquet", 3, "cannot be read as parquet ("),
        ("flight_delay/input", "cut.parquet", 3, "ask its producer for a whole file"),
    ],
)
def test_what_cannot_be_checked(
    files: Path,
    suite: str,
    file: str,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", suite, str(files / file)]) == code
    printed, complained = capsys.readouterr()
    assert printed == ""
    assert complained.startswith("expectations: ")
    assert message in complained


def test_an_object_on_s3_is_not_a_local_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "flight_delay/input", "s3://lake/day.parquet"]) == 2
    assert capsys.readouterr().err == (
        "expectations: s3://lake/day.parquet: not a local file; copy it here first and name the copy\n"
    )


def test_a_header_without_rows_is_unfit(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "flight_delay/predictions", str(files / "header.csv")]) == 3
    assert "0 rows, expected at least 1" in capsys.readouterr().out


def test_text_that_is_not_utf8_is_seen(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "flight_delay/predictions", str(files / "latin1.csv")]) == 3
    assert "column 'prediction' is missing, found 'a', 'b'" in capsys.readouterr().out


def test_help_and_import_load_nothing_heavy() -> None:
    script = (
        "import runpy, sys\n"
        "import expectations\n"
        "sys.argv = ['expectations', 'check', '--help']\n"
        "try: runpy.run_module('expectations', run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print(sorted({'great_expectations', 'pandas', 'mlflow', 'pyarrow'} & set(sys.modules)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout.splitlines()[-1] == "[]"
    assert "python -m expectations check flight_delay/input day.parquet" in ran.stdout


def test_the_rendered_report_is_bounded() -> None:
    failure = CheckFailure("x, expected a value: 9", "check", "x", 9_000_000, ("row 0: a",) * 3)
    rows = tuple(RowFailure(position, ("x is null",)) for position in range(10_000))
    report = Report(
        suite="suite",
        suite_digest="0" * 64,
        rows=9_000_000,
        row_failures=rows,
        row_checks=(failure,) * 1000,
        batch_failures=(failure,) * 1000,
        warnings=(failure,) * 1000,
    )
    lines = render(report).splitlines()
    assert lines[0] == (
        "suite (000000000000): unfit, the batch fails 1000 checks and 10,000 of 9,000,000 rows fail"
    )
    assert len(lines) < 650
    assert lines.count("      … and 8,999,997 more rows") == 120
    assert lines.count("    … and 960 more checks") == 3


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import expectations

    with pytest.raises(AttributeError, match="module 'expectations' has no attribute 'expect'"):
        _ = expectations.expect
    assert all(hasattr(expectations, name) for name in expectations.__all__)

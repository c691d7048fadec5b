"""`python -m expectations infer`, as a person types it: what it writes, says and refuses."""

import io
from pathlib import Path

import pytest
from flight_rows import day
from pyarrow import parquet

from expectations import suite
from expectations.__main__ import main
from storage import S3Settings, Store

DATA = "s3://greenroom/inferred/flights"


@pytest.fixture
def root(s3: S3Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two days on S3, its settings in the environment, and a folder of suites that may be spoiled."""
    for n in (1, 2):
        buffer = io.BytesIO()
        parquet.write_table(day(7, n), buffer)
        store.write(f"{DATA}/date=2013-07-0{n}/part-0.parquet", buffer.getvalue())
    for name, value in s3.delta_options().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GREENROOM_DATA", raising=False)
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    return tmp_path


def test_it_writes_suites_that_check_then_takes(
    root: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["infer", "flights", "--data", DATA, "--key", "flight_id", "--ignore", "weekday"]) == 0
    printed, complained = capsys.readouterr()
    assert complained == ""
    assert printed.splitlines() == [
        f"Read 1,911 rows in 2 batches under {DATA}/",
        "  wrote    expectations/flights/input.json",
        "  wrote    expectations/flights/predictions.json",
        "  next     edit them to say what is right, not only what was seen; then try them on a day's file:",
        "           python -m expectations check flights/input FILE",
    ]
    assert "weekday" not in (root / "flights/input.json").read_text()
    files = tmp_path_factory.mktemp("days")
    parquet.write_table(day(7, 1), files / "fit.parquet")
    parquet.write_table(day(7, 1).slice(0, 9), files / "short.parquet")
    assert main(["check", "flights/input", str(files / "fit.parquet")]) == 0
    assert main(["check", "flights/input", str(files / "short.parquet")]) == 3
    assert "9 rows, expected between 472 and 1932" in capsys.readouterr().out


def test_it_writes_over_what_is_there_only_by_force(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = root / "flights/input.json"
    edited.parent.mkdir()
    edited.write_text("edited by hand")
    assert main(["infer", "flights", "--data", DATA]) == 2
    assert capsys.readouterr().err == (
        "expectations: expectations/flights/input.json is there already, and may have been edited; add"
        " --force to write it anew, or choose another name\n"
    )
    assert [path.name for path in edited.parent.iterdir()] == ["input.json"]
    assert edited.read_text() == "edited by hand"
    assert main(["infer", "flights", "--data", DATA, "--force"]) == 0
    assert edited.read_text().startswith('{\n  "name": "flights/input",\n')


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["../up", "--data", DATA], 2, "The name '../up' is no folder's; expected letters, digits and '_'"),
        (["none", "--data", f"{DATA}/none"], 3, f"There are no rows under {DATA}/none/; expected Parquet or"),
        (["none", "--data", "flights"], 1, "GREENROOM_DATA, the S3 URI it is relative to, is not set"),
        (["none", "--data", "s3://no-bucket/x"], 1, "no-bucket"),
        (["none", "--data", DATA, "--key", "id"], 3, "There is no column 'id' for the key under s3://green"),
        (
            ["none", "--data", DATA, "--key", "carrier"],
            3,
            "'carrier' has a value more than once in one batch",
        ),
        (
            ["none", "--data", DATA, "--ignore", "id"],
            3,
            "There is no column 'id' to ignore; there is: carrier",
        ),
    ],
)
def test_what_it_refuses_leaves_nothing(
    root: Path, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["infer", *arguments]) == code
    printed, complained = capsys.readouterr()
    assert printed == ""
    assert complained.startswith("expectations: ")
    assert said in complained
    assert list(root.iterdir()) == []


def test_a_name_is_not_that_of_a_module(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.exists()
    monkeypatch.setattr(suite, "ROOT", Path("expectations"))
    assert main(["infer", "checks", "--data", DATA]) == 2
    assert "The name 'checks' is taken by expectations/checks.py; choose another" in capsys.readouterr().err

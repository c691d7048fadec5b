"""`python -m projects`: what train and validate leave behind, and what they say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import As, Ran

import deploy
import registry
from projects.__main__ import main
from projects.declaration import read_project
from registry import ModelVersion, Registry, find_version, read_review
from registry.__main__ import main as registry_main
from storage import S3Settings, Store

pytest_plugins = ["projects_fixtures"]

METRICS_OF_FLIGHTS = read_project("flight_delay").metrics
REGISTERED = re.compile(r"Registered flight-delay version (\d+), trained on (\S+ to \S+)\n")


@pytest.fixture(scope="module")
def first(at: Registry, in_production: int) -> ModelVersion:
    return find_version(at, "flight-delay", in_production)


# What the slow commands said, so that each is run once.
_SAID: dict[str, Ran] = {}


@pytest.fixture
def sampled(author: As, at: Registry, first: ModelVersion) -> tuple[Ran, ModelVersion]:
    """A version trained on one row in twenty of January."""
    return _trained(author, at, first, "--until 2013-01-31 --sample 0.05")


@pytest.fixture
def again(author: As, at: Registry, first: ModelVersion) -> tuple[Ran, ModelVersion]:
    """A version trained exactly as the one in Production."""
    return _trained(author, at, first, "--until 2013-06-30")


@pytest.fixture
def judged(author: As, again: tuple[Ran, ModelVersion]) -> Ran:
    """What the validation of that said, on the window after the training."""
    _, version = again
    if "judged" not in _SAID:
        _SAID["judged"] = validate(author, version.version)
    return _SAID["judged"]


def _trained(author: As, at: Registry, first: ModelVersion, options: str) -> tuple[Ran, ModelVersion]:
    assert first.version == 1
    if options not in _SAID:
        _SAID[options] = author(main, "train", "flight_delay", *options.split())
    ran = _SAID[options]
    assert ran.code == 0, ran.err
    found = REGISTERED.search(ran.out)
    assert found is not None, ran.out
    return ran, find_version(at, "flight-delay", int(found[1]))


def validate(author: As, version: int | str, *options: str) -> Ran:
    return author(main, "validate", "flight_delay", "--version", str(version), *options)


def run_of(at: Registry, version: ModelVersion) -> Any:
    assert version.run_id is not None
    return at.client.get_run(version.run_id)


def artifacts(at: Registry, run_id: str, path: str) -> set[str]:
    return {file.path for file in at.client.list_artifacts(run_id, path)}


def test_training_says_what_it_registered_and_what_comes_next(sampled: tuple[Ran, ModelVersion]) -> None:
    ran, version = sampled
    assert "trained on 2013-01-01 to 2013-01-31\n" in ran.out
    # Those of January that were cancelled or diverted.
    assert ran.out.startswith(
        "606 of 27,004 rows (2013-01-01 to 2013-01-31) are left out: their label late is null or NaN\n"
    )
    assert "  author   author\n" in ran.out
    assert f"  digest   {version.digest}\n" in ran.out
    assert (
        f"mlflow run . --env-manager local -e validate -P project=flight_delay -P version={version.version}\n"
        in ran.out
    )
    assert "Traceback" not in ran.err


def test_a_version_knows_its_author_and_manifest(sampled: tuple[Ran, ModelVersion]) -> None:
    _, version = sampled
    assert version.author == "author"
    assert version.manifest is not None
    assert {f.path for f in version.manifest.files} >= {"MLmodel", "model.ubj"}
    assert version.stage == "None"


def test_a_training_run_says_how_it_was_trained(at: Registry, sampled: tuple[Ran, ModelVersion]) -> None:
    _, version = sampled
    run, project = run_of(at, version), read_project("flight_delay")
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        **{name: str(value) for name, value in project.parameters.items()},
        "objective": "binary:logistic",
        "rounds": "100",
        "seed": "2013",
        "window": "2013-01-01 to 2013-01-31",
        "sampled": "0.05",
    }
    assert run.data.tags["mlflow.runName"] == "train 2013-01-01 to 2013-01-31"
    assert run.data.tags["greenroom.project"] == "flight_delay"
    assert run.data.tags["greenroom.version"] == str(version.version)
    assert run.data.tags["greenroom.digest"] == version.digest


def test_a_training_run_holds_metrics_and_a_plot(
    at: Registry, sampled: tuple[Ran, ModelVersion], tmp_path: Path
) -> None:
    _, version = sampled
    run = run_of(at, version)
    assert run.data.metrics.keys() == {
        *(f"train_{name}" for name in METRICS_OF_FLIGHTS),
        *("rows", "rows_without_label", "threshold"),
    }
    assert 0.6 < run.data.metrics["train_auc"] <= 1
    assert 1_000 < run.data.metrics["rows"] < 1_700
    assert 0 < run.data.metrics["threshold"] < 1
    assert artifacts(at, run.info.run_id, "plots") == {"plots/importance.png"}
    plot = Path(at.client.download_artifacts(run.info.run_id, "plots/importance.png", str(tmp_path)))
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_training_run_pins_its_data(
    at: Registry, sampled: tuple[Ran, ModelVersion], roles: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    _, version = sampled
    run = run_of(at, version)
    inputs = {i.dataset.name: i.dataset for i in run.inputs.dataset_inputs}
    store = Store.connect(S3Settings.from_environment(roles["author"]))
    for kind in ("features", "outcomes"):
        dataset = inputs[f"flight_delay {kind} 2013-01-01 to 2013-01-31"]
        whole = run.data.tags[f"greenroom.snapshot.training.{kind}"]
        assert len(whole) == 64
        assert dataset.digest == whole[:36]
        assert json.loads(dataset.source)["uri"] == f"s3://greenroom/flight_delay/{kind}/"

        name = f"snapshots/training_{kind}.tsv"
        path = Path(at.client.download_artifacts(run.info.run_id, name, str(tmp_path)))
        header, *lines = path.read_text().splitlines()
        assert header == "uri\tversion_id\tetag\tsize_bytes"
        rows = [tuple(line.split("\t")) for line in lines]
        now = store.snapshot(f"s3://greenroom/flight_delay/{kind}").objects[:31]
        assert rows == [(o.uri, o.version_id, o.etag, str(o.size_bytes)) for o in now]
        assert all(version_id for _, version_id, _, _ in rows)
    assert {tag.value for i in run.inputs.dataset_inputs for tag in i.tags} == {"training"}
    rows = inputs["flight_delay rows 2013-01-01 to 2013-01-31"]
    assert json.loads(rows.source)["uri"] == run.data.tags["greenroom.labelled.training"]
    assert run.data.tags["greenroom.labelled.training.version"] == "0"
    assert run.data.tags["greenroom.quality.training"].startswith("606 of 27,004 rows (2013-01-01 to 2013")
    assert run.data.tags["greenroom.labelled.training.digest"].startswith(rows.digest)


def test_the_same_data_and_seed_give_the_same_model_to_the_byte(
    first: ModelVersion, again: tuple[Ran, ModelVersion]
) -> None:
    _, version = again
    assert version.manifest is not None
    assert first.manifest is not None
    assert version.manifest.sha256_of("model.ubj") == first.manifest.sha256_of("model.ubj")


def test_a_version_as_good_as_the_champion_passes(
    judged: Ran, at: Registry, again: tuple[Ran, ModelVersion]
) -> None:
    _, version = again
    ran = judged
    assert (ran.code, ran.err) == (0, "")
    # The window after the training, as declared: 31 days.
    *said, last = ran.out.split(f"flight-delay version {version.version}: validation passed\n")[
        1
    ].splitlines()
    *gates, served = said
    names = ["auc", "log_loss", "auc", "log_loss", "leakage", "rejected_share"]
    assert [line.split(" is ")[0].strip() for line in gates] == names
    assert served.startswith("  served in a clean environment, it answers 205 rows as the batch scorer does")
    assert last == "  judged on 2013-07-01 to 2013-07-31, 28,293 rows; compared with version 1"

    verdict = read_review(at, "flight-delay", version.version).validation
    assert verdict is not None
    assert verdict.passed
    assert verdict.digest == version.digest
    measured = {f"{name}{end}" for name in METRICS_OF_FLIGHTS for end in ("", ".low", ".high")}
    assert {name for name in verdict.metrics if not name.startswith("slice/")} == measured
    assert verdict.metrics["auc.low"] < verdict.metrics["auc"] < verdict.metrics["auc.high"]
    assert verdict.metrics["slice/origin:EWR/rows"] > 9_000
    assert {name.split("/")[1] for name in verdict.metrics if "distance" in name} == {
        *("slice", "distance:below 500", "distance:500 to 1000", "distance:1000 to 2000"),
        "distance:2000 and more",
    } - {"slice"}
    assert verdict.outcome == "passed"
    assert verdict.reasons == tuple(line.strip() for line in said)

    run = at.client.get_run(verdict.run_id)
    assert run.data.tags["mlflow.runName"] == (
        f"validate version {version.version} on 2013-07-01 to 2013-07-31"
    )
    assert run.data.tags["greenroom.verdict"] == "passed"
    assert run.data.tags["greenroom.champion"] == "1"
    assert run.data.tags["greenroom.digest"] == version.digest
    assert run.data.metrics["candidate_auc"] == run.data.metrics["champion_auc"] == verdict.metrics["auc"]
    assert {run.data.metrics[f"difference_auc{end}"] for end in ("", ".low", ".high")} == {0.0}
    assert run.data.metrics["champion_slice/origin:EWR/auc"] == verdict.metrics["slice/origin:EWR/auc"]
    assert artifacts(at, run.info.run_id, "plots") == {
        f"plots/{name}.png"
        for name in ("roc", "precision_recall", "calibration", "scores", "slices", "contributions")
    }
    assert run.data.metrics["served_p50_ms"] > 0
    assert 0 < run.data.metrics["quality_rejected_share"] < 0.01
    assert artifacts(at, run.info.run_id, "snapshots") == {
        f"snapshots/validation_{kind}.tsv" for kind in ("features", "outcomes")
    }


def test_a_validation_leaves_a_model_card(judged: Ran, at: Registry, again: tuple[Ran, ModelVersion]) -> None:
    assert judged.code == 0
    _, version = again
    verdict = read_review(at, "flight-delay", version.version).validation
    assert verdict is not None
    card = Path(at.client.download_artifacts(verdict.run_id, "model_card.md")).read_text()
    assert card.startswith(
        f"# flight-delay version {version.version}\n\nProbability that a flight out of New"
    )
    for said in (
        "| predicts | `late` (classification, `binary:logistic`) |",
        "| trained on | 2013-01-01 to 2013-06-30 |",
        "| judged on | 2013-07-01 to 2013-07-31 |",
        "| compared with | version 1 |",
        "| threshold of precision and recall | `0.",
        f"| artifact | `{version.digest}` |",
        "| rows without a label, left out | `",
        "## Validation: passed",
        "Not judged: carrier YV (69 rows, expected at least 100), carrier AS (62 rows,",
        "| rows | mean prediction | share of positives |",
        "- New York's three airports in 2013; other years and airports were never seen.",
        f"    mlflow run . --env-manager local -e reproduce -P run_id={version.run_id}",
    ):
        assert said in card, card
    assert re.search(
        r"\| auc \| 0\.\d+ \(0\.\d+ to 0\.\d+\) \| 0\.\d+ \(.*\) \| \+0 \(\+0 to \+0\) \|", card
    ), card
    assert len(re.findall(r"\n\| 2,8(?:29|30) \| 0\.\d+ \| 0\.\d+ \|", card)) == 10, card
    assert re.search(r"\| carrier: UA \| \d,\d{3} \| 0\.\d+ \(", card), card


def test_the_first_version_had_no_champion_to_beat(at: Registry, first: ModelVersion) -> None:
    verdict = read_review(at, "flight-delay", first.version).validation
    assert verdict is not None
    assert verdict.passed
    assert verdict.digest == first.digest
    assert "auc: there is no champion to compare with" in verdict.reasons
    assert at.client.get_run(verdict.run_id).data.tags["greenroom.champion"] == "none"


def test_a_version_worse_than_the_champion_fails_with_the_reason(
    author: As, at: Registry, sampled: tuple[Ran, ModelVersion]
) -> None:
    _, version = sampled
    ran = validate(author, version.version, "--since", "2013-07-01", "--until", "2013-07-14")
    assert ran.code == 3
    assert f"flight-delay version {version.version}: validation failed\n" in ran.out
    assert re.search(
        r"\n  auc is 0\.\d{4}, the champion's 0\.\d{4}: 0\.\d{4} worse \(0\.\d{4} worse to 0\.\d{4} worse\);"
        r" expected no more than 0\.\d+ worse",
        ran.out,
    )

    verdict = read_review(at, "flight-delay", version.version).validation
    assert verdict is not None
    assert not verdict.passed
    assert verdict.digest == version.digest
    assert all("expected" in reason for reason in verdict.reasons)
    assert at.client.get_run(verdict.run_id).data.tags["greenroom.verdict"] == "failed"


def test_too_few_days_settle_nothing(author: As, at: Registry, again: tuple[Ran, ModelVersion]) -> None:
    _, version = again
    ran = validate(author, version.version, "--since", "2013-07-01", "--until", "2013-07-07")
    assert ran.code == 3
    assert f"flight-delay version {version.version}: validation inconclusive\n" in ran.out
    assert "There is no interval: 7 blocks of rows, at least 8 are needed" in ran.out
    verdict = read_review(at, "flight-delay", version.version).validation
    assert verdict is not None
    assert (verdict.passed, verdict.outcome) == (False, "inconclusive")
    refused = author(registry_main, "request", "flight-delay", str(version.version), "--reason", "let us see")
    assert refused.code == 1
    assert "Its validation was inconclusive: auc is " in refused.err


def test_the_same_rows_are_written_down_once(at: Registry, again: tuple[Ran, ModelVersion]) -> None:
    _, version = again
    first, second = (run_of(at, registry.find_version(at, "flight-delay", n)) for n in (1, version.version))
    assert first.data.tags["greenroom.labelled.training"] == second.data.tags["greenroom.labelled.training"]


def test_the_newest_verdict_counts(author: As, at: Registry, again: tuple[Ran, ModelVersion]) -> None:
    _, version = again
    # One December day, half a year later: not the days it was trained for.
    december = validate(author, version.version, "--since", "2013-12-05", "--until", "2013-12-05")
    verdict = read_review(at, "flight-delay", version.version).validation
    assert verdict is not None
    assert (december.code == 0) == verdict.passed
    name = at.client.get_run(verdict.run_id).data.tags["mlflow.runName"]
    assert name.endswith("on 2013-12-05 to 2013-12-05")


def test_nobody_is_judged_on_what_they_were_trained_on(author: As, again: tuple[Ran, ModelVersion]) -> None:
    _, version = again
    ran = validate(author, version.version, "--since", "2013-06-30", "--until", "2013-07-10")
    assert ran.code == 1
    assert "was trained on 2013-01-01 to 2013-06-30, and is judged only on days after that" in ran.err


def test_a_champion_that_has_seen_the_days_is_no_yardstick(
    author: As, sampled: tuple[Ran, ModelVersion]
) -> None:
    """The version in Production was trained to the end of June, the candidate to the end of January."""
    _, version = sampled
    ran = validate(author, version.version)
    assert "compared with nothing: version 1 in Production was trained on days of this window" in ran.out


def test_a_champion_that_cannot_be_loaded_is_named(
    author: As,
    stack: deploy.Stack,
    again: tuple[Ran, ModelVersion],
    first: ModelVersion,
    tmp_path: Path,
) -> None:
    _, version = again
    client = Store.connect(S3Settings.from_environment(stack.environment("admin"))).client
    objects = client.list_objects_v2(Bucket="mlflow", Prefix="artifacts/")["Contents"]
    model_id = first.source.rpartition("/")[2]
    [key] = [o["Key"] for o in objects if f"/{model_id}/" in o["Key"] and o["Key"].endswith("model.ubj")]
    whole = client.get_object(Bucket="mlflow", Key=key)["Body"].read()
    client.put_object(Bucket="mlflow", Key=key, Body=whole[:-1])
    try:
        # Whoever has fetched it before still has what was approved.
        elsewhere = {"GREENROOM_CACHE_DIR": str(tmp_path)}
        ran = author(main, "validate", "flight_delay", "--version", str(version.version), **elsewhere)
    finally:
        client.put_object(Bucket="mlflow", Key=key, Body=whole)
    assert ran.code == 1
    assert "The champion cannot be judged: flight-delay version 1" in ran.err, ran.err


def test_a_window_beyond_the_data_is_not_taken_for_whole(author: As, in_production: int) -> None:
    assert in_production
    ran = author(main, "train", "flight_delay", "--since", "2013-12-01", "--until", "2016-12-31")
    assert ran.code == 3
    assert "The window 2013-12-01 to 2016-12-31 is not all there" in ran.err
    assert "is no 2016-12-31" in ran.err


def test_an_option_in_place_of_a_project_is_a_name(author: As) -> None:
    ran = author(main, "train", "--sample=0.1", "--", "--help")
    assert ran.code == 2
    assert "There is no project '--help'" in ran.err
    assert author(main, "train", "--samp=0.1", "flight_delay").code == 2


@pytest.mark.parametrize("version", [0, -1, 999, 2**31, 2**63])
def test_an_unknown_version_is_a_usage_error(author: As, in_production: int, version: int) -> None:
    assert in_production
    ran = validate(author, version)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"projects: flight-delay has no version {version}")
    assert "python -m registry list flight-delay" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("validate flight_delay --version 1 --since 2013-07-01", "--since and --until go together"),
        ("validate flight_delay --version 1 --until 2013-07-01", "--since and --until go together"),
        (
            "validate flight_delay --version 1 --since 2013-07-02 --until 2013-07-01",
            "The window 2013-07-02 to 2013-07-01 ends before it begins; check --since and --until",
        ),
        ("train flight_delay --since 2013-07-01", "The window 2013-07-01 to 2013-06-30 ends before it"),
        ("train flight_delay --since 01.07.2013", "'01.07.2013' is not a date; expected YYYY-MM-DD"),
        ("train flight_delay --until 2013-02-30", "'2013-02-30' is not a date; expected YYYY-MM-DD"),
        ("train flight_delay --sample 0", "'0' is not a share; expected more than 0, at most 1"),
        ("train flight_delay --sample 1.1", "'1.1' is not a share"),
        ("train flight_delay --sample nan", "'nan' is not a share"),
        ("train flight_delay --sample half", "'half' is not a share"),
        ("validate flight_delay --version latest", "invalid int value: 'latest'"),
        ("validate flight_delay", "the following arguments are required: --version"),
        ("train", "the following arguments are required: project"),
        ("deliver flight_delay --since 2013-01-01", "unrecognized arguments"),
        ("sing", "invalid choice: 'sing'"),
        ("", "the following arguments are required: VERB"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # nothing is asked for this
    try:
        code = main(arguments.split())
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    assert code == 2
    assert message in said.err
    assert said.out == ""


def test_a_version_whose_training_is_not_known_needs_a_window(
    author: As, at: Registry, sampled: tuple[Ran, ModelVersion]
) -> None:
    _, version = sampled
    empty = at.client.create_run(run_of(at, version).info.experiment_id)
    other = registry.register(at, "flight-delay", version.source, empty.info.run_id)
    at.client.set_terminated(empty.info.run_id)
    ran = validate(author, other.version)
    assert ran.code == 1
    assert ran.err == (
        f"projects: flight-delay version {other.version} has no training run that says its window, so the"
        " window after it is not known; give --since and --until\n"
    )
    ran = validate(author, other.version, "--since", "2013-07-01", "--until", "2013-07-02")
    assert ran.code == 1
    assert ran.err == (
        f"projects: flight-delay version {other.version} cannot be judged: precision needs a threshold; found"
        " none. Choose one on rows of training\n"
    )


def test_a_training_is_reproduced_to_the_byte(
    author: As, at: Registry, sampled: tuple[Ran, ModelVersion]
) -> None:
    _, version = sampled
    ran = author(main, "reproduce", str(version.run_id))
    assert (ran.code, ran.err) == (0, ""), ran.out
    assert ran.out.endswith(
        f"flight-delay version {version.version}, trained again: the same artifact, to the byte\n"
    )
    runs = at.client.search_runs(
        [run_of(at, version).info.experiment_id], f"tags.`greenroom.reproduces` = '{version.run_id}'"
    )
    assert [run.data.tags["greenroom.reproduced"] for run in runs] == ["to the byte"]


def test_what_is_not_the_same_is_named(author: As, at: Registry, sampled: tuple[Ran, ModelVersion]) -> None:
    _, version = sampled
    assert version.run_id
    text = mlflow_text(at, version.run_id).replace("rounds: 100", "rounds: 99")
    at.client.log_text(version.run_id, text, "declaration/project.yaml")
    at.client.set_tag(version.run_id, "greenroom.xgboost", "2.1.4")
    ran = author(main, "reproduce", version.run_id)
    assert ran.code == 3
    assert (
        "not the same artifact\n  MLmodel differs\n  model.ubj differs\n  xgboost was 2.1.4, is " in ran.out
    )


def mlflow_text(at: Registry, run_id: str) -> str:
    path = at.client.download_artifacts(run_id, "declaration/project.yaml")
    return Path(path).read_text()


def test_a_run_that_cannot_be_reproduced_says_why(author: As, at: Registry, in_production: int) -> None:
    assert in_production
    none = author(main, "reproduce", "0" * 32)
    assert none.code != 0
    assert "0" * 32 in none.err
    empty = at.client.create_run("0").info.run_id
    ran = author(main, "reproduce", empty)
    assert ran.code == 1
    assert f"The run {empty} is no training that recorded its rows" in ran.err


def test_a_run_whose_rows_are_gone_is_not_reproduced(
    author: As, at: Registry, again: tuple[Ran, ModelVersion]
) -> None:
    _, version = again
    assert version.run_id
    tag = "greenroom.labelled.training"
    there = run_of(at, version).data.tags[tag]
    at.client.set_tag(version.run_id, tag, f"{there}-vacuumed")
    ran = author(main, "reproduce", version.run_id)
    at.client.set_tag(version.run_id, tag, there)
    assert ran.code == 1
    assert ran.err == (
        f"projects: The rows of 2013-01-01 to 2013-06-30 under {there}-vacuumed are gone: they were vacuumed"
        " away or deleted. Delete what is left there and train again, which writes them anew\n"
    )

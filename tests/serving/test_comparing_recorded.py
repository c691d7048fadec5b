"""A comparison that is kept for reviewers: a run with what the review pages look for."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from commands import As
from test_comparing import ROUTES, traffic

import registry
from serving.__main__ import main
from serving.recording.tables import exposure_rows, feedback_rows
from storage import S3Settings, append_rows


def test_a_comparison_is_kept_as_a_finished_run_of_the_challengers_version(
    operator: As, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root, s3 = f"s3://greenroom/{uuid.uuid4().hex}", S3Settings.from_environment(operator.environment)
    (tmp_path / "tiny.yaml").write_text(ROUTES.replace("ROOT", root))
    exposures, feedback = traffic(500, 0.9)
    append_rows(f"{root}/exposures", exposure_rows(exposures, lambda _: {}), ["date"], "test", 1, s3)
    append_rows(f"{root}/feedback", feedback_rows(feedback), ["date"], "test", 1, s3)
    ran = operator(main, "compare", "tiny", "--routes", str(tmp_path), "--record", "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    for name, value in operator.environment.items():
        monkeypatch.setenv(name, value)
    client = registry.connect(operator.environment).client
    run = client.get_run(said.pop("run_id"))
    assert run.info.status == "FINISHED"
    tags = {name: value for name, value in run.data.tags.items() if name.startswith("greenroom.comparison")}
    assert tags == {
        "greenroom.comparison.model": "tiny",
        "greenroom.comparison.version": "4",
        "greenroom.comparison.digest": "sha256:cd",
    }
    assert run.data.metrics["brier.difference"] == said["metrics"][0]["difference"]
    kept = Path(client.download_artifacts(run.info.run_id, "comparison.json", str(tmp_path))).read_text()
    assert json.loads(kept) == said
    assert said["challenger"] == {"version": 4, "digest": "sha256:cd"}

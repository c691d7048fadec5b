"""The review pages where MLflow's own lie below a prefix (`mlflow server --static-prefix`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.mlflow_server import QUIET, auth_config

_ASK = """
import base64, json, sys
from registry.server.app import create_app
client = create_app().test_client()
login = "Basic " + base64.b64encode(b"admin:only-in-this-test").decode()
answers = {}
for path in json.load(sys.stdin):
    answer = client.get(path, headers={"Authorization": login})
    answers[path] = [answer.status_code, answer.get_data(as_text=True)]
print(json.dumps(answers))
"""


def test_pages_and_links_follow_the_prefix(tmp_path: Path) -> None:
    config = tmp_path / "auth.ini"
    config.write_text(auth_config(f"sqlite:///{tmp_path}/auth.db", "only-in-this-test"))
    database = f"sqlite:///{tmp_path}/mlflow.db"
    environment = {
        **os.environ,
        **QUIET,
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only in this test",
        "_MLFLOW_STATIC_PREFIX": "/below",
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": f"greenroom+{database}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(tmp_path / "artifacts"),
    }
    paths = ["/below/", "/below/review/", "/below/review/style.css", "/review/"]
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        input=json.dumps(paths),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert [answers[path][0] for path in paths] == [200, 200, 200, 404]
    assert 'href="/below/review/"' in answers["/below/"][1]
    assert 'href="/below/review/style.css"' in answers["/below/review/"][1]
    assert 'href="/below/#/models"' in answers["/below/review/"][1]

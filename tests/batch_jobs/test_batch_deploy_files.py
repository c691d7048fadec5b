"""The files for other clocks: what cron, Airflow and Kubernetes would run is what our command takes."""

from __future__ import annotations

import ast
import copy
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import kubernetes_validate
import pytest
import yaml
from commands import REPOSITORY

from batch_jobs.__main__ import _parser
from batch_jobs.job import job_names, read_job
from batch_jobs.scheduling.cron import parse_cron

if TYPE_CHECKING:
    from pathlib import Path

FILES = REPOSITORY / "deploy" / "batch"
CRONTAB = (FILES / "crontab").read_text()
CRONJOB: dict[str, Any] = yaml.safe_load((FILES / "cronjob.yaml").read_text())
DAG = ast.parse((FILES / "airflow_dag.py").read_text())
KUBERNETES = "1.33"
COMMAND = ["python", "-m", "batch_jobs"]


def pod() -> dict[str, Any]:
    found: dict[str, Any] = CRONJOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def set_in_the_crontab() -> dict[str, str]:
    return dict(re.findall(r"^([A-Z]+)=(.*)$", CRONTAB, re.MULTILINE))


def crontab_line() -> tuple[str, str]:
    """Return the moments and the command of the one line."""
    (line,) = (each for each in CRONTAB.splitlines() if re.match(r"[\d*]", each))
    *moments, command = line.split(maxsplit=5)
    return " ".join(moments), command


def dag_call(name: str) -> dict[str, Any]:
    """Return the literal keywords of a call in the DAG, its constants put in."""
    (call,) = (
        node
        for node in ast.walk(DAG)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    )
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in DAG.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found = {}
    for keyword in call.keywords:
        text = ast.unparse(keyword.value)
        # Literals and the constants of the file; what pendulum and datetime make is Airflow's to judge.
        if "(" not in text:
            found[str(keyword.arg)] = eval(text, {"__builtins__": {}}, constants)
    return found


def parsed(words: list[str]) -> Any:
    """Parse what stands behind `python -m batch_jobs`, as the command does."""
    assert words[:3] == COMMAND, words
    return _parser().parse_args(words[3:])


def test_the_line_of_the_crontab_runs_and_says_how_it_went(
    roles: dict[str, dict[str, str]], in_production: int, tmp_path: Path
) -> None:
    assert in_production
    moments, command = crontab_line()
    parse_cron(moments, ZoneInfo("UTC"))
    assert "%" not in command, "cron takes it for the end of the line"
    names = ("GREENROOM_", "AWS_", "MLFLOW_")
    settings = {name: value for name, value in roles["operator"].items() if name.startswith(names)}
    where = tmp_path / "operator.env"

    def run(**changed: str) -> subprocess.CompletedProcess[str]:
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in {**settings, **changed}.items())
        where.write_text("".join(lines))
        # Nearly nothing is set, as under cron.
        environment = {
            **set_in_the_crontab(),
            "GREENROOM": str(REPOSITORY),
            "SETTINGS": str(where),
            "HOME": str(tmp_path),
            "LOGNAME": "operator",
            "PATH": "/usr/bin:/bin",
        }
        return subprocess.run(
            [environment["SHELL"], "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    ran = run()
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    told = (tmp_path / "greenroom-batch.log").read_text()
    assert re.search(r"Z flight_delay tick: \d+ days since \S+ to score with flight-delay version 1", told)
    down = run(AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert down.returncode == 75
    assert "S3 does not answer" in down.stderr


def test_the_cronjob_is_what_kubernetes_takes() -> None:
    kubernetes_validate.validate(CRONJOB, KUBERNETES, strict=True)
    wrong = copy.deepcopy(CRONJOB)
    wrong["spec"]["concurencyPolicy"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError, match="concurencyPolicy"):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_the_cronjob_runs_our_command_at_a_moment_that_there_is() -> None:
    options = parsed(container()["command"])
    assert (options.once, options.jobs) == (True, [])
    spec = CRONJOB["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    parse_cron(spec["schedule"], ZoneInfo(spec["timeZone"]))


def test_the_cronjob_tries_again_what_may_pass_and_nothing_else() -> None:
    (rule,) = CRONJOB["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    codes = {
        int(code) for code in re.findall(r"\b(\d+) [a-z]", str(_parser().epilog).split("exit codes:")[1])
    }
    assert rule["onExitCodes"]["containerName"] == container()["name"]
    assert set(rule["onExitCodes"]["values"]) == codes - {0, 75}
    # Kubernetes takes the policy only with this.
    assert pod()["restartPolicy"] == "Never"


def test_the_cronjob_sets_what_the_settings_say_and_its_volumes_are_there() -> None:
    documented = (REPOSITORY / "docs" / "settings.md").read_text()
    names = [each["name"] for each in container()["env"]]
    assert len(names) == len(set(names))
    assert [name for name in names if f"`{name}`" not in documented] == []
    assert {"MLFLOW_TRACKING_URI", "GREENROOM_DATA"} <= set(names)
    mounted = {each["name"] for each in container()["volumeMounts"]}
    assert mounted == {each["name"] for each in pod()["volumes"]}
    (cache,) = (each["value"] for each in container()["env"] if each["name"] == "GREENROOM_CACHE_DIR")
    assert cache in {each["mountPath"] for each in container()["volumeMounts"]}


def test_the_dag_runs_our_command_at_a_moment_that_there_is() -> None:
    task, dag = dag_call("BashOperator"), dag_call("DAG")
    interpreter, *words = shlex.split(task["bash_command"].removeprefix("exec "))
    assert interpreter == ".venv/bin/python"
    options = parsed(["python", *words])
    assert options.once
    assert set(options.jobs) <= set(job_names())
    assert all(read_job(name).schedule for name in options.jobs)
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    parse_cron(dag["schedule"], ZoneInfo("UTC"))

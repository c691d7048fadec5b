"""Every command in the README runs: in the demo, in this file, or where RUN_ELSEWHERE says."""

from __future__ import annotations

import json
import re
import shlex
import sys

import pytest
import requests
from commands import REPOSITORY, run_command, run_in_process

from deploy.scenario import FIRST_VERSION, SCORE_AND_COMPARE, SECOND_VERSION, SERVE

README = (REPOSITORY / "README.md").read_text()

# Make's own commands and the one that builds an environment, by the test that runs them.
RUN_ELSEWHERE = {
    "make demo": "tests/deploy/test_demo.py",
    "make up": "tests/deploy/test_demo.py",
    "make down": "tests/deploy/test_demo.py",
    "make clean-state": "tests/deploy/test_demo.py",
    "make help": "tests/deploy/test_demo.py",
    "make replay": "tests/deploy/test_replay.py",
    'eval "$(make -s env ROLE=author)"': "tests/deploy/test_demo.py",
    'eval "$(make -s env ROLE=reviewer)"': "tests/deploy/test_demo.py",
    'eval "$(make -s env ROLE=operator)"': "tests/deploy/test_demo.py",
    "mlflow run . --env-manager uv --experiment-name flight-delay -P sample=0.1": (
        "tests/projects/test_mlflow_run.py"
    ),
    "python -m batch_jobs monitor flight_delay --date 2013-07-01": "tests/batch_jobs/test_monitor_days.py",
}
# What is running now.
ITSELF = "make test"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines() if not block.startswith("curl")]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.strip()]


def typed_in_the_demo() -> set[str]:
    steps = (*FIRST_VERSION, *SCORE_AND_COMPARE, *SECOND_VERSION)
    return {text.format(version=1, port=5001) for text in (SERVE, *(step.command for step in steps))}


def run_here() -> list[str]:
    known = {*typed_in_the_demo(), *RUN_ELSEWHERE, ITSELF}
    return [command for command in commands() if command not in known]


def test_the_readme_has_commands_for_every_kind_of_user() -> None:
    assert len(commands()) > 15
    assert any("mlflow run" in command for command in commands())
    assert len(typed_in_the_demo() & set(commands())) >= 9


@pytest.mark.parametrize(("command", "where"), RUN_ELSEWHERE.items())
def test_what_runs_elsewhere_is_named_there(command: str, where: str) -> None:
    assert command in commands(), "RUN_ELSEWHERE names a command that the README does not have"
    assert command in (REPOSITORY / where).read_text()


def test_make_test_is_what_continuous_integration_runs() -> None:
    assert ITSELF in commands()
    assert (REPOSITORY / ".ci" / "run").read_text().rstrip().endswith(f"\n{ITSELF}")


def test_every_target_of_make_is_explained_and_does_what_it_says() -> None:
    text = (REPOSITORY / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    explained = re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE)
    assert sorted(explained) == sorted(phony.split())
    assert [*re.findall(r"^([a-z-]+):.*##.*\n(?!\t)", text, re.MULTILINE)] == ["setup"]


@pytest.fixture(scope="module")
def scored(roles: dict[str, dict[str, str]], in_production: int) -> None:
    """A table of predictions."""
    assert in_production
    ran = run_in_process("python -m batch_jobs run flight_delay --date 2013-07-02", roles["operator"])
    assert ran.code == 0, ran.err


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("command", run_here())
def test_the_other_commands_run(command: str, roles: dict[str, dict[str, str]]) -> None:
    ran = run_in_process(command, roles["reviewer"])
    assert ran.code == 0, ran.err
    assert re.search(
        r"flight-delay|asked by|Nothing waits for a reviewer|The ledger is whole|files below", ran.out
    )


def test_the_request_that_the_readme_sends_is_answered(endpoint: str) -> None:
    (curl,) = (block for block in blocks("sh") if block.startswith("curl"))
    words = shlex.split(curl)
    assert words[words.index("-H") + 1] == "Content-Type: application/json"
    body = json.loads(words[words.index("-d") + 1])
    response = requests.post(f"{endpoint}/invocations", json=body, timeout=60)
    (prediction,) = response.json()["predictions"]
    assert 0 < prediction < 1


@pytest.mark.usefixtures("scored")
def test_the_table_opens_as_the_readme_says(roles: dict[str, dict[str, str]]) -> None:
    (code,) = (block for block in blocks("python") if "DeltaTable" in block)
    ran = run_command([sys.executable, "-W", "error", "-c", code], roles["operator"])
    assert ran.returncode == 0, ran.stderr
    assert "[temp is null]" in ran.stdout


def test_a_booster_from_a_notebook_becomes_a_version(
    roles: dict[str, dict[str, str]], in_production: int
) -> None:
    assert in_production
    (code,) = (block for block in blocks("python") if "register_booster" in block)
    here = str(REPOSITORY / "tests" / "projects")
    trained = f"import sys; sys.path.insert(0, {here!r})\nfrom january import notebook\n"
    before = f"{trained}booster, example = notebook()\n"
    ran = run_command([sys.executable, "-c", before + code], roles["author"])
    assert ran.returncode == 0, ran.stderr
    # Trained on January alone, it is no match for the version in Production.
    assert re.search(
        r"\nfailed\n(auc|log_loss) is 0\.\d{4}, the champion's 0\.\d{4}: 0\.\d{4} worse", ran.stdout
    ), ran


def test_every_link_leads_somewhere() -> None:
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name} links to {link}"


def test_every_setting_is_documented() -> None:
    documented = (REPOSITORY / "docs" / "settings.md").read_text()
    rooms = ("batch_jobs", "deploy", "expectations", "projects", "registry", "serving", "storage")
    for room in rooms:
        for path in (REPOSITORY / room).rglob("*.py"):
            for name in re.findall(r"\bGREENROOM_[A-Z0-9_]+", path.read_text()):
                # What deploy marks its own processes with is not for users to set.
                assert name in documented or name == "GREENROOM_SERVICE", f"{path}: {name}"

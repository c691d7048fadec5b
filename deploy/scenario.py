"""The scenario of the demo: which role types which command, and what of its output is worth a line."""

from dataclasses import dataclass

from deploy.credentials import Role

AUTHOR, REVIEWER, OPERATOR = Role.AUTHOR, Role.REVIEWER, Role.OPERATOR
SERVE = "python -m serving start flight-delay --port {port}"

_RUN = "mlflow run . --env-manager local --experiment-name flight-delay"
_COMPARED = r": (?P<shown>[\d,]+ rows .*)"
_REGISTERED = r"(?P<shown>Registered \S+ version (?P<version>\d+), .*)"


@dataclass(frozen=True)
class Step:
    """One command of one role. `shows` finds, in what it prints, the line for the closing table.

    `{version}` in the command stands for the version that was registered last, `{port}` for the
    port of the endpoint.
    """

    title: str
    role: Role
    command: str
    shows: str = r"(?P<shown>\S.*)\s*\Z"


def _review(asks: str, finds: str) -> tuple[Step, ...]:
    registry = "python -m registry"
    return (
        Step("request", AUTHOR, f"{registry} request flight-delay {{version}} --reason '{asks}'"),
        Step("approve", REVIEWER, f"{registry} approve flight-delay {{version}} --reason '{finds}'"),
    )


FIRST_VERSION = (
    Step(
        "deliver",
        AUTHOR,
        "python -m projects deliver flight_delay",
        r"(?P<shown>Delivered [\d,]+ rows, \S+ to \S+),",
    ),
    Step("train", AUTHOR, f"{_RUN} -P project=flight_delay -P until=2013-06-30", _REGISTERED),
    Step(
        "validate",
        AUTHOR,
        f"{_RUN} -e validate -P project=flight_delay -P version={{version}}",
        r"(?P<shown>validation \w+\n +auc is [\d.]+)",
    ),
    *_review("passes all gates on July", "ROC and calibration looked at"),
)

# While the endpoint is up, and so is it for all that follows.
SCORE_AND_COMPARE = (
    Step(
        "score",
        OPERATOR,
        "python -m batch_jobs backfill flight_delay --from 2013-07-01 --to 2013-07-03",
        r"(?P<shown>2013-07-02: .* quarantined)",
    ),
    Step(
        "compare",
        OPERATOR,
        "python -m serving smoke flight_delay/predictions --date 2013-07-01 --url http://127.0.0.1:{port}",
        _COMPARED,
    ),
)

SECOND_VERSION = (
    Step("retrain", AUTHOR, f"{_RUN} -P project=flight_delay -P until=2013-09-30", _REGISTERED),
    Step(
        "validate",
        AUTHOR,
        f"{_RUN} -e validate -P project=flight_delay -P version={{version}}",
        r"(?P<shown>auc is \S+, the champion's [^;]+);",
    ),
    *_review("has seen the summer", "better than the champion on October"),
    Step(
        "score",
        OPERATOR,
        "python -m batch_jobs run flight_delay --date 2013-10-01",
        r"(?P<shown>2013-10-01: .* version \d+);",
    ),
    # The endpoint was not restarted: it follows the registry.
    Step(
        "compare",
        OPERATOR,
        "python -m serving smoke flight_delay/predictions --date 2013-10-01 --url http://127.0.0.1:{port}",
        _COMPARED,
    ),
    Step(
        "roll back", REVIEWER, "python -m registry rollback flight-delay --reason 'false alarms since noon'"
    ),
    Step("look back", REVIEWER, "python -m registry history flight-delay"),
)

"""What several acts of review depend on: each says what speaks against the act, as sentences. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.ledger import Line
    from registry.policy import Facts
    from registry.rules import Rules

REASON_CHARACTERS = 1000


def of_reason(facts: Facts) -> list[str]:
    """Say that no reason is given, or none that can be kept."""
    if not facts.reason.strip():
        return ["A reason is needed: --reason says why."]
    if len(facts.reason) > REASON_CHARACTERS or not facts.reason.isprintable():
        found = f"The reason has {len(facts.reason):,} characters, or one that cannot be printed;"
        return [f"{found} expected at most {REASON_CHARACTERS:,}, on one line."]
    return []


def of_right(what: str, facts: Facts, rules: Rules) -> list[str]:
    """Say that the actor is no reviewer."""
    if facts.may_review:
        return []
    return [
        (
            f"{facts.actor} may not {what}: that takes the MLflow role {rules.reviewer_role!r},"
            " which an admin assigns."
        )
    ]


def of_other_eyes(facts: Facts, asked: Line | None) -> list[str]:
    """Say that the actor made what is decided on, or asked for it; or that nobody knows who made it."""
    actor, author = facts.actor, facts.standing.author
    said = [] if author else ["The author of the version is not known, so nobody can be told apart."]
    if actor == author:
        mine = f"{actor} is the author of version {facts.version}"
    elif facts.registered_as is not None:
        mine = f"{actor} registered the same artifact, as {facts.registered_as}"
    elif asked is not None and actor == asked.by:
        mine = f"{actor} asked for it"
    else:
        return said
    return [*said, f"{mine}; another person must approve."]


def of_artifact(facts: Facts, rules: Rules) -> list[str]:
    """Say why the artifact may not go on stage."""
    if facts.standing.digest is None:
        return [
            (
                f"Version {facts.version} has no digest, so nobody could say what would be approved. Register"
                " it again, its artifact complete, or validate it."
            )
        ]
    if facts.obstacle:
        return [facts.obstacle]
    found = (facts.standing.artifact or {}).get("format", "xgboost")
    if found not in rules.artifact_formats:
        allowed = ", ".join(rules.artifact_formats)
        return [f"The artifact's format is {found!r}, and only {allowed} may go on stage (policy.yaml)."]
    return []


def of_validation(facts: Facts, rules: Rules) -> list[str]:
    """Say why there is no fresh, passed validation of this very artifact."""
    standing = facts.standing
    validation, verdict = standing.validation, standing.verdict
    run = f"mlflow run . --env-manager local -e validate -P version={facts.version}"
    if validation is None or verdict is None:
        return [f"Version {facts.version} was never validated; run: {run}."]
    if validation.digest != standing.digest:
        return ["The validation is of another artifact than the one registered now; validate again."]
    if not validation.passed:
        found = "was inconclusive" if validation.outcome == "inconclusive" else "failed"
        return [f"Its validation {found}: {'; '.join(validation.reasons)}."]
    if rules.by_another_than_author and verdict.by == standing.author:
        return [f"The validation is by the author, {verdict.by}; another person must validate: {run}."]
    age = facts.now - dt.datetime.fromisoformat(verdict.at)
    if age > dt.timedelta(days=rules.max_age_days):
        return [f"Its validation is {age.days} days old, expected at most {rules.max_age_days}; run: {run}."]
    return []

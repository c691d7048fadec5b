"""The rules for exposure: a challenger in Staging answers clients beside the version in Production. Pure.

A shadow, whose answers nobody sees, needs none of this. An exposure is for one artifact, and ends where
the version leaves Staging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry import grounds
from registry.stages import Stage

if TYPE_CHECKING:
    from registry.policy import Facts
    from registry.rules import Rules


def enough(facts: Facts, rules: Rules) -> bool:
    """Whether one more approval, by this actor, begins the exposure."""
    return len(facts.standing.exposure.approvals) + 1 >= rules.approvals


def request(facts: Facts, rules: Rules) -> list[str]:
    """Say why exposure cannot be asked for."""
    if said := _of_begun(facts):
        return said
    asked = facts.standing.exposure.request
    if asked is not None:
        who = f"{asked.by} asked at {asked.at}"
        return [f"Version {facts.version} waits for an approval for exposure already: {who}."]
    return _of_challenger(facts, rules)


def approve(facts: Facts, rules: Rules) -> list[str]:
    """Say why the actor may not approve it."""
    exposure, said = facts.standing.exposure, _of_begun(facts)
    if said:
        return said
    said = [*grounds.of_right("approve", facts, rules), *_of_open_request(facts)]
    if exposure.request is not None and exposure.request.digest != facts.standing.digest:
        said.append("The request for exposure is for another artifact than the one registered now.")
    said += grounds.of_other_eyes(facts, exposure.request)
    if any(facts.actor == approval.by for approval in exposure.approvals):
        needed = f"{rules.approvals} different reviewers are needed"
        said.append(f"{facts.actor} approved it for exposure already; {needed}.")
    return [*said, *_of_challenger(facts, rules)]


def reject(facts: Facts, rules: Rules) -> list[str]:
    """Say why the actor may not send the request back."""
    return [
        *grounds.of_right("reject", facts, rules),
        *(_of_begun(facts, "end it: python -m registry end-exposure") or _of_open_request(facts)),
    ]


def end(facts: Facts, rules: Rules) -> list[str]:  # noqa: ARG001  # as all of them
    """Say that there is nothing to end; to stop is allowed to everybody who may change the model."""
    if facts.standing.exposure.request is None:
        return [f"Version {facts.version} is not exposed, and nobody asked for it."]
    return []


def _of_begun(facts: Facts, instead: str = "") -> list[str]:
    begun = facts.standing.exposure.begun
    if begun is None:
        return []
    also = f"; {instead}" if instead else ""
    return [f"Version {facts.version} is exposed already, by {begun.by} since {begun.at}{also}."]


def _of_open_request(facts: Facts) -> list[str]:
    if facts.standing.exposure.request is None:
        return [
            (
                f"Nobody asked for version {facts.version} to be exposed to clients; expected a request first"
                " (python -m registry request --exposure)."
            )
        ]
    return []


def _of_challenger(facts: Facts, rules: Rules) -> list[str]:
    said = []
    if facts.stage is not Stage.STAGING:
        said.append(
            f"Version {facts.version} is in {facts.stage}; only what is in Staging is exposed to clients"
            " (python -m registry request)."
        )
    if facts.champion is None:
        said.append("Nothing is in Production that it could be exposed beside.")
    said += [*grounds.of_artifact(facts, rules), *grounds.of_validation(facts, rules)]
    if facts.signature_breaks:
        # Unlike in a promotion: the same clients are answered by both.
        said += [
            *facts.signature_breaks,
            "Clients of the version in Production would break, so it cannot answer them beside that version.",
        ]
    return said

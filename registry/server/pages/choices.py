"""What can be done with a version, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.policy import Act
from registry.stages import Stage

if TYPE_CHECKING:
    from registry.rules import Rules
    from registry.server.reading import Dossier

# Done without the right to edit the model: a reviewer's acts.
REVIEWS = (Act.APPROVE, Act.REJECT, Act.ROLLBACK, Act.APPROVE_EXPOSURE, Act.REJECT_EXPOSURE)
EXPOSURES = (Act.REQUEST_EXPOSURE, Act.APPROVE_EXPOSURE, Act.REJECT_EXPOSURE, Act.END_EXPOSURE)


@dataclass(frozen=True)
class Choice:
    """Something that can be done with a version, in words, and why the caller may not."""

    act: Act
    label: str
    effect: str
    refusals: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether the rules allow it to the caller now."""
        return not self.refusals


def choices_of(dossier: Dossier, rules: Rules, *, may_edit: bool) -> tuple[Choice, ...]:
    """Say what each act would do, and why the caller may not."""
    candidate, champion = dossier.candidate, dossier.champion
    this = f"version {candidate.number}"
    instead = (
        f" in place of version {champion.number}" if champion and champion.number != candidate.number else ""
    )
    live = f"It goes to Production{instead}."
    given = len(candidate.standing.approvals) + 1
    approving = live if given >= rules.approvals else f"It is approval {given} of {rules.approvals}."
    off = "Nothing is in Production then." if candidate.stage is Stage.PRODUCTION else ""
    exposure = candidate.standing.exposure
    beside = f"beside version {champion.number}" if champion else "beside what is in Production"
    voted = len(exposure.approvals) + 1
    exposing = f"It may answer clients, {beside}; it stays in Staging."
    words = {
        Act.APPROVE: ("Approve", approving),
        Act.REJECT: ("Reject", "It leaves Staging."),
        Act.REQUEST: (f"Ask for a review of {this}", "It goes to Staging and waits there."),
        Act.WITHDRAW: ("Withdraw the request", "It leaves Staging."),
        Act.ROLLBACK: (f"Roll back to {this}", f"{live} It was there before."),
        Act.ARCHIVE: (f"Archive {this}", off),
        Act.REQUEST_EXPOSURE: (
            "Ask for exposure to clients",
            f"It stays in Staging; once that is approved, it may answer clients, {beside}.",
        ),
        Act.APPROVE_EXPOSURE: (
            "Approve for exposure",
            exposing if voted >= rules.approvals else f"It is approval {voted} of {rules.approvals}.",
        ),
        Act.REJECT_EXPOSURE: ("Reject for exposure", "It stays in Staging, and answers no clients."),
        Act.END_EXPOSURE: (
            "End the exposure" if exposure.begun else "Withdraw the request for exposure",
            "It stays in Staging, and answers no clients.",
        ),
    }
    closed = (f"This login may not change {candidate.model} (a permission in MLflow).",)
    return tuple(
        Choice(
            act,
            *said,
            dossier.refusals[act] if may_edit or act in REVIEWS else (*dossier.refusals[act], *closed),
        )
        for act, said in words.items()
    )

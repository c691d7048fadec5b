"""The verdict of an offline validation, as the review rules read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from registry.connection import translated

if TYPE_CHECKING:
    from registry.connection import Registry
    from registry.versions import ModelVersion

VALIDATION_TAG = "greenroom.validation"


@dataclass(frozen=True)
class Validation:
    """What a validation found about one artifact; `reasons` say, gate by gate, why.

    `window` is the days it was judged on, `rows` how many rows they held, `compared_with` the version
    that was in Production, or why there was none to compare with.
    """

    passed: bool
    digest: str
    run_id: str
    metrics: dict[str, float]
    reasons: tuple[str, ...]
    window: str = ""
    rows: int = 0
    compared_with: str = ""


def record_validation(registry: Registry, version: ModelVersion, validation: Validation) -> None:
    """Write the verdict on the version; the newest one counts."""
    with translated(f"record the validation of {version.name} version {version.version}"):
        registry.client.set_model_version_tag(
            version.name, str(version.version), VALIDATION_TAG, json.dumps(asdict(validation))
        )


def read_validation(version: ModelVersion) -> Validation | None:
    """Read the newest verdict on a version; None where it was never validated."""
    text = version.tags.get(VALIDATION_TAG)
    if text is None:
        return None
    fields = json.loads(text)
    return Validation(**{**fields, "reasons": tuple(fields["reasons"])})

"""A challenger answers clients after an approval for exposure, and no longer than that holds.

What the rules say to each act is in `test_registry_exposing`; here are the server and its callers.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from review_house import LIVE, ONE_ENGINE, WAITING, House, logging_to, new_name, one_of
from tiny_versions import register_tiny, validate_tiny

import registry
from registry import Act, Exposed

pytest_plugins = ["review_fixtures"]

# The challenger of the model that `contest` makes.
CHALLENGER = 2


def contest(house: House, model: str, seed: int = 0) -> None:
    """Put a version of ann's in Production, and one in Staging."""
    house.live(model, seed=seed)
    house.staged(model, seed=seed)


def expose(house: House, model: str, version: int = CHALLENGER) -> None:
    house.decide("ann", Act.REQUEST_EXPOSURE, model, version)
    house.decide("rob", Act.APPROVE_EXPOSURE, model, version)


def refusal(house: House, login: str, act: Act, model: str, version: int = CHALLENGER) -> str:
    with pytest.raises(registry.RefusedError) as caught:
        house.decide(login, act, model, version)
    return " ".join(caught.value.reasons)


def exposed(house: House, model: str) -> list[int]:
    return [found.version for found in registry.exposed(house.at("olaf"), model)]


def test_from_the_request_to_the_end(house: House, model: str) -> None:
    contest(house, model)
    at = house.at("olaf")
    asked = one_of(house.decide("ann", Act.REQUEST_EXPOSURE, model, CHALLENGER))
    assert registry.exposed(at, model) == ()
    assert [r.exposure.request for r in registry.list_exposures(at, model)] == [asked]
    approved, begun = house.decide("rob", Act.APPROVE_EXPOSURE, model, CHALLENGER)
    assert approved.evidence["exposure_request"] == begun.evidence["exposure_request"] == asked.number
    assert begun.evidence["champion"] == LIVE
    assert begun.evidence["metrics"] == {"auc": 0.71}
    # Beside the version in Production, not in its place.
    assert house.stages(model) == {LIVE: "Production", CHALLENGER: "Staging"}
    answers = Exposed(CHALLENGER, str(begun.digest), approved_by="rob", approved_at=begun.at)
    assert registry.exposed(at, model) == (answers,)

    # Replicas that see the same stop it all at once; one line says so, whoever was first.
    attempt = str(uuid.uuid4())

    def stop(login: str) -> str:
        try:
            why = "its p99 is 3 times the champion's"
            return registry.end_exposure(house.at(login), model, CHALLENGER, why, attempt + login[:2]).by
        except registry.RefusedError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        first, *others = sorted(pool.map(stop, ["ann", "olaf", "rita"]), key=len)
    assert first in {"ann", "olaf", "rita"}
    no = (
        f"The end of the exposure of {model} version 2 is refused: Version 2 is not exposed, and nobody asked"
    )
    assert [said.startswith(no) for said in others] == [True, True]
    # Sent again, it is done once.
    assert stop(first) == first
    with pytest.raises(registry.RefusedError, match="Its attempt id belongs to something else"):
        registry.end_exposure(house.at("amy"), model, CHALLENGER, "so", attempt + first[:2])
    assert registry.exposed(at, model) == ()
    assert registry.list_exposures(at, model) == []
    assert house.said(model, CHALLENGER)[-4:] == [
        ("ann", "exposure requested", "Staging"),
        ("rob", "exposure approved", "Staging"),
        ("rob", "exposed", "Staging"),
        (first, "exposure ended", "Staging"),
    ]
    assert house.newest_lines(model)[CHALLENGER].reason == "its p99 is 3 times the champion's"
    # What waits for Production still waits; and promoted, a version is no challenger any more.
    expose(house, model)
    begun = house.newest_lines(model)[CHALLENGER]
    house.decide("rita", Act.APPROVE, model, CHALLENGER)
    assert house.stages(model) == {LIVE: "Archived", CHALLENGER: "Production"}
    assert house.newest_lines(model)[CHALLENGER].evidence["ends_exposure"] == begun.number
    assert exposed(house, model) == []


@ONE_ENGINE
def test_it_ends_where_the_version_leaves_staging(house: House, model: str) -> None:
    contest(house, model)
    for login, act in (("rita", Act.REJECT), ("ann", Act.WITHDRAW), ("ann", Act.ARCHIVE)):
        expose(house, model)
        assert exposed(house, model) == [CHALLENGER]
        house.decide(login, act, model, CHALLENGER)
        assert exposed(house, model) == []
        # Back in Staging, it is asked for anew.
        house.decide("ann", Act.REQUEST, model, CHALLENGER)
        assert exposed(house, model) == []
        assert "Nobody asked for version 2 to be exposed" in refusal(
            house, "rob", Act.APPROVE_EXPOSURE, model
        )


@ONE_ENGINE
def test_four_eyes(house: House, model: str) -> None:
    contest(house, model, seed=11)
    house.decide("rita", Act.REQUEST_EXPOSURE, model, CHALLENGER)
    source, run_id = house.source_of("ann", 11)
    copied = registry.register(house.at("rob"), new_name("copy"), source, run_id)
    for login, said in {
        "ann": "ann is the author of version 2; another person must approve.",
        "rita": "rita asked for it; another person must approve.",
        "rob": f"rob registered the same artifact, as {copied.name} version 1; another person must approve.",
        "admin": "admin may not approve: that takes the MLflow role 'reviewer'",
    }.items():
        assert said in refusal(house, login, Act.APPROVE_EXPOSURE, model)
    assert "may not reject" in refusal(house, "ann", Act.REJECT_EXPOSURE, model)
    house.decide("rob", Act.REJECT_EXPOSURE, model, CHALLENGER)
    assert house.stages(model) == {LIVE: "Production", CHALLENGER: "Staging"}
    assert "Nobody asked" in refusal(house, "rob", Act.REJECT_EXPOSURE, model)


@ONE_ENGINE
def test_only_what_is_in_staging(house: House, shown: str) -> None:
    for version, stage in {1: "Production", 3: "None", 4: "Archived"}.items():
        said = refusal(house, "ann", Act.REQUEST_EXPOSURE, shown, version)
        assert f"Version {version} is in {stage}; only what is in Staging is exposed to clients" in said
    assert exposed(house, shown) == []
    with pytest.raises(registry.RefusedError, match=f"Version {WAITING} is not exposed"):
        registry.end_exposure(house.at("ann"), shown, WAITING, "so")
    for login in ("ann", "admin"):
        with pytest.raises(registry.UnknownVersionError, match="nobody-made-this"):
            registry.exposed(house.at(login), "nobody-made-this")
    with pytest.raises(registry.UnknownVersionError, match="not a model name"):
        registry.exposed(house.at("ann"), "a/b")


@ONE_ENGINE
def test_other_rows_than_production_takes(house: House, model: str) -> None:
    contest(house, model)
    expose(house, model)
    with logging_to(house.at("ann")) as at:
        wide = register_tiny(at, model, features={"carrier": "category", "distance": "category"})
    validate_tiny(house.at("olaf"), wide)
    house.decide("ann", Act.REQUEST, model, wide.version)
    said = refusal(house, "ann", Act.REQUEST_EXPOSURE, model, wide.version)
    assert "The column 'distance' is string, and clients send double." in said
    assert "so it cannot answer them beside that version" in said
    # The version in Production changes, and with it what clients send.
    house.decide("rob", Act.APPROVE, model, wide.version, accept_signature_change=True)
    assert exposed(house, model) == []
    [held] = registry.list_exposures(at, model)
    assert (held.answers, held.signature_breaks) == (
        False,
        ("The column 'distance' is double, and clients send string.",),
    )
    house.decide("rita", Act.ROLLBACK, model, LIVE)
    assert exposed(house, model) == [CHALLENGER]

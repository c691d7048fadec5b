"""Names of versions resolve to one version, or are refused with what was expected."""

import pytest
from tiny_versions import register_tiny, validate_tiny

import registry
from registry import NothingOnStageError, Registry, Stage, UnknownVersionError, resolve

pytest_plugins = ["registry_fixtures"]

MALFORMED = "does not name a model version; expected models:/NAME/STAGE, models:/NAME/VERSION or"
NO_STAGE = (
    "asks for what is neither a version number nor a stage. Stages are None, Staging, Production,"
    " Archived, written exactly so"
)
COUNTED = "versions are counted from 1. See which there are: python -m registry list MODEL"
NO_NAME = "is not a model name; expected up to 128 letters, digits, '-', '_', '.'"


@pytest.fixture(scope="module")
def name() -> str:
    return "named-tiny"


@pytest.fixture
def tiny(at: Registry, name: str) -> str:
    """A model whose version 1 is in Staging; registered once."""
    try:
        registry.find_version(at, name, 1)
    except UnknownVersionError:
        version = register_tiny(at, name)
        validate_tiny(at, version)
        registry.decide(at, registry.Act.REQUEST, name, 1, "validated")
    return name


@pytest.mark.filterwarnings("ignore:.*stages.*:FutureWarning")
@pytest.mark.parametrize("uri", ["models:/MODEL/1", "models:/MODEL/Staging", "models:/MODEL/0001"])
def test_what_names_a_version(at: Registry, tiny: str, uri: str) -> None:
    found = resolve(at, uri.replace("MODEL", tiny))
    assert (found.name, found.version, found.stage, found.author) == (tiny, 1, Stage.STAGING, "author")
    assert found.uri == f"models:/{tiny}/1"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/MODEL/2", "MODEL has no version 2. See which there are: python -m registry list MODEL"),
        ("models:/MODEL/0", f"MODEL has no version 0: {COUNTED}"),
        ("models:/MODEL/-1", f"MODEL has no version -1: {COUNTED}"),
        (f"models:/MODEL/{2**31 - 1}", f"MODEL has no version {2**31 - 1}. See which there are"),
        (f"models:/MODEL/{2**63}", f"MODEL has no version {2**63}: {COUNTED}"),
        ("models:/MODEL/" + "9" * 5000, "asks for what is neither a version number nor a stage"),
        ("models:/MODEL/--1", NO_STAGE),
        ("models:/MODEL/²", NO_STAGE),
        ("models:/MODEL/٣", NO_STAGE),
        ("models:/MODEL/1.0", NO_STAGE),
        ("models:/MODEL/latest", NO_STAGE),
        ("models:/MODEL/production", NO_STAGE),
        ("models:/MODEL/PRODUCTION", NO_STAGE),
        ("models:/MODEL/1\n", NO_STAGE),
        ("models:/MODEL@champion", "asks for an alias; only @production is kept"),
        ("models:/MODEL", MALFORMED),
        ("models:/MODEL/", MALFORMED),
        ("models:/MODEL/1/2", MALFORMED),
        ("models:/MODEL@production/1", MALFORMED),
        ("MODEL/1", MALFORMED),
        ("runs:/MODEL/1", MALFORMED),
        ("", MALFORMED),
        ("models:/no-such-model/1", "There is no registered model 'no-such-model'. See which there are:"),
        ("models:/no-such-model/Production", "There is no registered model 'no-such-model'."),
        ("models:/a:b/1", f"'a:b' {NO_NAME}"),
        ("models:/$(id)/1", f"'$(id)' {NO_NAME}"),
        ("models:/" + "a" * 300 + "/1", f"{'a' * 80!r} {NO_NAME}"),
        ("models:/' OR name LIKE '%/Production", NO_NAME),
    ],
)
def test_what_names_none(at: Registry, tiny: str, uri: str, said: str) -> None:
    with pytest.raises(UnknownVersionError) as refused:
        resolve(at, uri.replace("MODEL", tiny))
    assert said.replace("MODEL", tiny) in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("at_", ["/Production", "@production", "/Archived"])
def test_nothing_on_stage(at: Registry, tiny: str, at_: str) -> None:
    stage = "Archived" if at_ == "/Archived" else "Production"
    with pytest.raises(NothingOnStageError) as nothing:
        resolve(at, f"models:/{tiny}{at_}")
    assert str(nothing.value) == (
        f"No version of {tiny} is in {stage}. See what there is: python -m registry list {tiny}"
    )


@pytest.mark.parametrize("name", ["a/b", "a:b", "$(id)", "a" * 300, "", "-a", "a\n", "é"])
def test_nothing_is_registered_under_a_name_that_is_none(at: Registry, name: str) -> None:
    with pytest.raises(UnknownVersionError, match="is not a model name; expected up to 128 letters"):
        registry.register(at, name, "models:/m-0", "run")
    with pytest.raises(UnknownVersionError, match="is not a model name"):
        registry.find_version(at, name, 1)

"""A routes file says what it means, or one sentence says where it does not."""

from __future__ import annotations

import pytest
import yaml
from commands import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import RoutesError
from serving.routing.declaration import Challenger, EntityKey, Guards, Outcomes, Recording, Step, routes_file
from serving.routing.parsing import parse_routes

WHOLE = """\
model: flight-delay
entity: {header: X-Entity-Key}
record: {exposures: flight_delay/exposures, feedback: flight_delay/feedback, requests: true, spool_mib: 128}
champion: {weight: 90}
challengers:
  - {arm: deeper, version: staging, mode: shadow}
  - {arm: later, version: 7, mode: ab, weight: 10}
  - arm: careful
    version: 8
    mode: canary
    ramp: [{percent: 1, for_s: 600}, {percent: 50, for_s: 3600}]
    guards: {error_share_at_most: 0.01, latency_ratio_at_most: 2.0, psi_at_most: null, at_least: 100}
compare: {alpha: 0.05, metrics: {brier: {delta: 0.005}, latency_ms: {delta: 5}}}
outcomes: {table: flight_delay/outcomes, key: flight_id, column: arr_delay, above: 15}
"""


def parse(text: str) -> object:
    return parse_routes(text, "flight-delay", "flight_delay.yaml")


def test_a_whole_file_is_read() -> None:
    routes = parse_routes(WHOLE, "flight-delay", "flight_delay.yaml")
    assert routes.champion_weight == 90
    assert routes.entity == EntityKey(header="x-entity-key")
    assert routes.record == Recording("flight_delay/exposures", "flight_delay/feedback", spool_mib=128)
    assert routes.challengers == (
        Challenger("deeper", None, "shadow"),
        Challenger("later", 7, "ab", 10.0),
        Challenger("careful", 8, "canary", 0.0, (Step(1, 600), Step(50, 3600)), Guards(0.01, 2.0, None, 100)),
    )
    assert routes.outcomes == Outcomes("flight_delay/outcomes", "flight_id", "arr_delay", 15.0)
    assert routes.state_location == "flight_delay/routes-state-flight-delay.json"
    assert routes_file("flight-delay") == "flight_delay.yaml"


def test_what_the_docs_show_is_a_routes_file() -> None:
    page = (REPOSITORY / "docs" / "serving.md").read_text()
    shown = page.partition("## Challengers")[2].partition("```yaml\n")[2].partition("```")[0]
    routes = parse_routes(shown, "flight-delay", "docs/serving.md")
    assert [each.mode for each in routes.challengers] == ["shadow", "ab", "canary"]


def test_a_file_may_say_as_little_as_whose_it_is() -> None:
    routes = parse_routes("model: flight-delay", "flight-delay", "flight_delay.yaml")
    assert (routes.champion_weight, routes.challengers, routes.state_location) == (100, (), None)


def changed(path: str, value: object) -> str:
    found = yaml.safe_load(WHOLE)
    *folders, last = path.split(".")
    at = found
    for folder in folders:
        at = at[int(folder) if folder.isdigit() else folder]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return yaml.safe_dump(found)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "champion.weight",
            80,
            "flight_delay.yaml: weight: champion 80 + later 10 adds up to 90, expected 100",
        ),
        ("champion.weight", "90", "champion: weight is '90', expected a number from 0 to 100"),
        ("champion.weight", 89.995, "weight is 89.995, expected hundredths of a percent at most"),
        ("champion.share", 90, "champion: unknown key 'share'; known are weight"),
        ("chalengers", [], "flight_delay.yaml: unknown key 'chalengers'; known are model"),
        ("model", "diamond-price", "model is 'diamond-price', expected 'flight-delay', whose file this is"),
        ("challengers.1.version", 8, "(careful): version 8 is that of arm 'later' already; each has one arm"),
        (
            "challengers.1.version",
            "newest",
            "version is 'newest', expected the number of a version, or staging",
        ),
        ("challengers.1.version", 0, "(later): version is 0, expected a whole number from 1"),
        ("challengers.1.version", True, "version is True, expected the number of a version, or staging"),
        ("challengers.1.arm", "champion", "arm is 'champion', expected up to 32 small letters"),
        (
            "challengers.1.arm",
            "deeper",
            "(deeper): arm 'deeper' is there already; expected a name of its own",
        ),
        ("challengers.1.mode", "bandit", "mode is 'bandit', expected one of ab, canary, shadow"),
        ("challengers.1.weight", float("nan"), "(later): weight is nan, expected a number from 0.01 to 100"),
        ("challengers.1.weight", ..., "(later): the key 'weight' is missing, which mode 'ab' needs"),
        ("challengers.0.weight", 5, "(deeper): weight is for another mode than 'shadow'; leave it out"),
        ("challengers.2.ramp", [], "(careful): ramp is empty, expected at least one step"),
        ("challengers.2.ramp.1.percent", 1, "ramp[1]: percent is 1, expected more than the 1 before it"),
        (
            "challengers.2.ramp.1.percent",
            95,
            "canaries take 95 percent at their last steps, expected at most",
        ),
        ("challengers.2.ramp.0.for_s", 0, "ramp[0]: for_s is 0, expected a number above 0 to"),
        ("challengers.2.guards.at_least", 0, "guards: at_least is 0, expected a whole number from 1"),
        (
            "challengers.2.guards.latency_ratio_at_most",
            0.5,
            "latency_ratio_at_most is 0.5, expected a number",
        ),
        ("challengers", {"later": 7}, "challengers is {'later': 7}, expected a list"),
        ("entity.column", "tailnum", "entity has 2 keys, expected one: header or column"),
        ("entity.header", "Authorization", "header is 'Authorization', expected the name of a header"),
        ("entity", ..., "outcomes are found by entity, and the key 'entity' is missing"),
        ("record", ..., "record is missing, expected where exposures go"),
        ("record.feedback", "flight_delay/exposures/x", "lie inside each other; expected two folders"),
        ("record.spool_mib", 0, "record: spool_mib is 0, expected a whole number from 1"),
        ("record.requests", "yes", "record: requests is 'yes', expected true or false"),
        ("compare.alpha", 0, "compare: alpha is 0, expected a number above 0 to 0.5"),
        ("compare.metrics", {}, "metrics is empty, expected some of brier"),
        ("compare.metrics.auc", {"delta": 1}, "metrics: unknown key 'auc'; known are brier, log_loss"),
        ("compare.metrics.brier", {"delta": 0}, "brier: delta is 0, expected a number above 0"),
        ("outcomes.above", "late", "outcomes: above is 'late', expected a number"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_value(path: str, value: object, said: str) -> None:
    with pytest.raises(RoutesError) as refused:
        parse(changed(path, value))
    assert str(refused.value).startswith("flight_delay.yaml: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "flight_delay.yaml is None, expected keys and values"),
        ("model: flight-delay\nmodel: flight-delay\n", "the key 'model' stands there twice"),
        ("model: [", "flight_delay.yaml is not YAML as it has to be"),
        ("model: !!python/name:os.system x", "flight_delay.yaml is not YAML as it has to be"),
        ("? [a, b]\n: c", "is not YAML as it has to be"),
    ],
)
def test_what_is_no_such_file_at_all_is_said(text: str, said: str) -> None:
    with pytest.raises(RoutesError, match=r"^flight_delay\.yaml") as refused:
        parse(text)
    assert said in str(refused.value)


def test_an_arm_that_answers_needs_a_place_for_what_replicas_share() -> None:
    arm = "{arm: b, version: 2, mode: ab, weight: 50}"
    text = f"{{model: flight-delay, champion: {{weight: 50}}, challengers: [{arm}]"
    with pytest.raises(RoutesError, match="state is missing, expected an object that replicas share"):
        parse(text + "}")
    routes = parse_routes(text + ", state: s.json}", "flight-delay", "f.yaml")
    assert routes.state_location == "s.json"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["model", "arm", "version", "mode", "weight", "ramp", "percent"]), inner
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["challengers", "champion", "entity", "record", "compare", "outcomes", "state"]),
)
def test_whatever_stands_there_is_read_or_refused(value: object, key: str) -> None:
    try:
        parse(changed(key, value))
    except RoutesError as error:
        assert str(error).startswith("flight_delay.yaml")  # noqa: PT017  # most of these are refused, not all

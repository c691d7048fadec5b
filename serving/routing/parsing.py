"""From the text of a routes file to what it declares, or one sentence on what is wrong with it. Pure."""

from __future__ import annotations

import re
from typing import Any, cast

from serving.errors import RoutesError
from serving.routing.declaration import (
    CHAMPION,
    METRICS,
    Challenger,
    Comparing,
    EntityKey,
    Guards,
    Mode,
    Outcomes,
    Recording,
    Routes,
    Step,
)
from serving.routing.reading import (
    bool_of,
    items_of,
    keys_of,
    number_of,
    read_yaml,
    shown,
    text_of,
    whole_of,
)

_ARM = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
# What a request proves itself by has no place in a table.
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})
_MODES = ("ab", "canary", "shadow")
_STAGING = "staging"
_MOST_ARMS = 8
_HIGHEST_VERSION = 2**31 - 1
_YEAR_S = 366 * 86_400.0
_WHOLE = 100.0
# A bucket of 10,000 is a hundredth of a percent: nothing finer can be kept to.
_FINEST = 100
_TINY = 1e-9


def parse_routes(text: str, model: str, where: str) -> Routes:
    """Return what a routes file declares for `model`; `where` names the file.

    Raises `RoutesError`: one sentence with file, key and value.
    """
    needed, optional = ("model",), ("champion", "challengers", "entity", "record", "compare", "outcomes")
    top = keys_of(read_yaml(text, where), where, needed, (*optional, "state"))
    if top["model"] != model:
        raise RoutesError(f"{where}: model is {shown(top['model'])}, expected {model!r}, whose file this is")
    champion = keys_of(top.get("champion", {}), f"{where}: champion", (), ("weight",))
    weight = _percent(champion.get("weight", _WHOLE), f"{where}: champion: weight", low=0)
    found = items_of(top.get("challengers", []), f"{where}: challengers")
    routes = Routes(
        model=model,
        champion_weight=weight,
        challengers=tuple(_challenger(item, there) for item, there in found),
        entity=_entity(top["entity"], f"{where}: entity") if "entity" in top else None,
        record=_recording(top["record"], f"{where}: record") if "record" in top else None,
        compare=_comparing(top["compare"], f"{where}: compare") if "compare" in top else None,
        outcomes=_outcomes(top["outcomes"], f"{where}: outcomes") if "outcomes" in top else None,
        state=text_of(top["state"], f"{where}: state") if "state" in top else None,
    )
    _check_arms(routes, where)
    _check_shares(routes, where)
    _check_places(routes, where)
    return routes


def _challenger(found: object, where: str) -> Challenger:
    given = keys_of(found, where, ("arm", "version", "mode"), ("weight", "ramp", "guards"))
    arm = text_of(
        given["arm"],
        f"{where}: arm",
        lambda text: _ARM.fullmatch(text) and text != CHAMPION,
        f"up to 32 small letters, digits and '-', not {CHAMPION!r}",
    )
    where = f"{where} ({arm})"
    mode = text_of(given["mode"], f"{where}: mode", _MODES.__contains__, f"one of {', '.join(_MODES)}")
    version = given["version"]
    if version != _STAGING and (not isinstance(version, int) or isinstance(version, bool)):
        raise RoutesError(
            f"{where}: version is {shown(version)}, expected the number of a version, or {_STAGING}"
        )
    belongs = {"ab": ("weight",), "canary": ("ramp", "guards"), "shadow": ()}[mode]
    for key in ("weight", "ramp", "guards"):
        if key in given and key not in belongs:
            raise RoutesError(f"{where}: {key} is for another mode than {mode!r}; leave it out")
    if mode != "shadow" and belongs[0] not in given:
        raise RoutesError(f"{where}: the key {belongs[0]!r} is missing, which mode {mode!r} needs")
    return Challenger(
        arm=arm,
        version=None if version == _STAGING else whole_of(version, f"{where}: version", 1, _HIGHEST_VERSION),
        mode=cast("Mode", mode),
        weight=_percent(given["weight"], f"{where}: weight") if mode == "ab" else 0.0,
        ramp=_ramp(given["ramp"], f"{where}: ramp") if mode == "canary" else (),
        guards=_guards(given.get("guards", {}), f"{where}: guards"),
    )


def _ramp(found: object, where: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for item, there in items_of(found, where):
        given = keys_of(item, there, ("percent", "for_s"))
        percent = _percent(given["percent"], f"{there}: percent")
        if steps and percent <= steps[-1].percent:
            before = f"more than the {steps[-1].percent:g} before it"
            raise RoutesError(f"{there}: percent is {percent:g}, expected {before}")
        steps.append(Step(percent, number_of(given["for_s"], f"{there}: for_s", 0, _YEAR_S, above=True)))
    if not steps:
        raise RoutesError(f"{where} is empty, expected at least one step, as {{percent: 1, for_s: 600}}")
    return tuple(steps)


def _guards(found: object, where: str) -> Guards:
    bounds = {"error_share_at_most": (0, 1), "latency_ratio_at_most": (1, 1000), "psi_at_most": (0, 100)}
    given = keys_of(found, where, (), (*bounds, "at_least"))
    chosen: dict[str, Any] = {
        key: None if given[key] is None else number_of(given[key], f"{where}: {key}", *bounds[key])
        for key in bounds
        if key in given
    }
    if "at_least" in given:
        chosen["at_least"] = whole_of(given["at_least"], f"{where}: at_least", 1, 10**9)
    return Guards(**chosen)


def _entity(found: object, where: str) -> EntityKey:
    given = keys_of(found, where, (), ("header", "column"))
    if len(given) != 1:
        raise RoutesError(f"{where} has {len(given)} keys, expected one: header or column")
    if "column" in given:
        return EntityKey(column=text_of(given["column"], f"{where}: column"))
    name = text_of(
        given["header"],
        f"{where}: header",
        lambda text: _HEADER.fullmatch(text) and text.lower() not in _SECRET,
        "the name of a header, which may be recorded",
    )
    return EntityKey(header=name.lower())


def _recording(found: object, where: str) -> Recording:
    given = keys_of(found, where, ("exposures", "feedback"), ("requests", "spool_mib"))
    exposures = text_of(given["exposures"], f"{where}: exposures")
    feedback = text_of(given["feedback"], f"{where}: feedback")
    one, other = f"{exposures.strip('/')}/", f"{feedback.strip('/')}/"
    if one.startswith(other) or other.startswith(one):
        raise RoutesError(
            f"{where}: exposures {exposures!r} and feedback {feedback!r} lie inside each other; expected two"
            " folders"
        )
    return Recording(
        exposures,
        feedback,
        bool_of(given.get("requests", True), f"{where}: requests"),
        whole_of(given.get("spool_mib", Recording.spool_mib), f"{where}: spool_mib", 1, 1_048_576),
    )


def _comparing(found: object, where: str) -> Comparing:
    given = keys_of(found, where, ("metrics",), ("alpha",))
    metrics = keys_of(given["metrics"], f"{where}: metrics", (), METRICS)
    if not metrics:
        raise RoutesError(f"{where}: metrics is empty, expected some of {', '.join(METRICS)}")
    deltas = {}
    for name, bounds in metrics.items():
        there = f"{where}: metrics: {name}"
        deltas[name] = number_of(
            keys_of(bounds, there, ("delta",))["delta"], f"{there}: delta", 0, above=True
        )
    alpha = number_of(given.get("alpha", 0.05), f"{where}: alpha", 0, 0.5, above=True)
    return Comparing(alpha, deltas)


def _outcomes(found: object, where: str) -> Outcomes:
    given = keys_of(found, where, ("table", "key", "column"), ("above",))
    table, key, column = (text_of(given[name], f"{where}: {name}") for name in ("table", "key", "column"))
    above = number_of(given["above"], f"{where}: above", float("-inf")) if "above" in given else None
    return Outcomes(table, key, column, above)


def _check_arms(routes: Routes, where: str) -> None:
    arms, versions = [c.arm for c in routes.challengers], [c.version for c in routes.challengers]
    if len(arms) > _MOST_ARMS:
        raise RoutesError(f"{where}: challengers are {len(arms)}, expected at most {_MOST_ARMS}")
    for number, arm in enumerate(arms):
        there = f"{where}: challengers[{number}] ({arm})"
        if arm in arms[:number]:
            raise RoutesError(f"{there}: arm {arm!r} is there already; expected a name of its own")
        if versions[number] in versions[:number]:
            other = arms[versions.index(versions[number])]
            what = versions[number] or _STAGING
            raise RoutesError(f"{there}: version {what} is that of arm {other!r} already; each has one arm")


def _check_shares(routes: Routes, where: str) -> None:
    weights = {CHAMPION: routes.champion_weight}
    weights |= {each.arm: each.weight for each in routes.challengers if each.mode == "ab"}
    total = sum(weights.values())
    if abs(total - _WHOLE) > _TINY:
        listed = " + ".join(f"{arm} {weight:g}" for arm, weight in weights.items())
        raise RoutesError(f"{where}: weight: {listed} adds up to {total:g}, expected {_WHOLE:g}")
    most = sum(each.ramp[-1].percent for each in routes.challengers if each.mode == "canary")
    if most > routes.champion_weight + _TINY:
        raise RoutesError(
            f"{where}: ramp: canaries take {most:g} percent at their last steps, expected at most the"
            f" {routes.champion_weight:g} of the champion"
        )


def _check_places(routes: Routes, where: str) -> None:
    answering = [each for each in routes.challengers if each.mode != "shadow"]
    if any(each.mode == "canary" for each in answering) and routes.record is None:
        raise RoutesError(
            f"{where}: record is missing, expected where exposures go: a canary is judged by what it answered"
        )
    if answering and routes.state_location is None:
        raise RoutesError(
            f"{where}: state is missing, expected an object that replicas share, as"
            " flight_delay/routes-state.json: who is in which arm must be the same for all of them"
        )
    if routes.outcomes is not None and routes.entity is None:
        raise RoutesError(f"{where}: outcomes are found by entity, and the key 'entity' is missing")


def _percent(found: object, where: str, *, low: float = 1 / _FINEST) -> float:
    percent = number_of(found, where, low, _WHOLE)
    if abs(percent * _FINEST - round(percent * _FINEST)) > _TINY * _FINEST:
        raise RoutesError(f"{where} is {percent!r}, expected hundredths of a percent at most")
    return percent

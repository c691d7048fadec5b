"""Rounds: people change the stages of one model at the same moment, and then the truth is looked up."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from benchmarks.registry_calls import AUTHOR, OBSERVER, REVIEWERS, Act, Answer, Deed, UnexpectedAnswerError
from benchmarks.registry_facts import Fault, Truth, compare, find_faults, read_snapshot
from benchmarks.registry_watch import running_watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.registry_actors import Actors
    from benchmarks.registry_artifact import Artifact
    from benchmarks.registry_calls import Flavour, Site
    from benchmarks.registry_watch import Seen, Watcher

ACTORS = 5
_PAGE = 1000


@dataclass(frozen=True)
class Side:
    """A server under test: how to act on it, and what to look at."""

    flavour: Flavour
    site: Site
    database_uri: str = field(repr=False)
    artifact: Artifact


@dataclass(frozen=True)
class Round:
    """What came of one round."""

    answers: list[Answer]
    seen: Seen
    at_end: frozenset[Fault]
    truth: Truth


def play(side: Side, actors: Actors, rounds: int, seed: int) -> Iterator[Round]:
    """Play rounds, each on a model of its own; the seed says who does what."""
    engine = sa.create_engine(side.database_uri, isolation_level="AUTOCOMMIT")
    has_ledger = side.flavour.has_ledger
    try:
        with (
            engine.connect() as connection,
            running_watcher(side.site, side.database_uri, has_ledger=has_ledger) as watcher,
        ):
            for number in range(rounds):
                model = f"round-{seed}-{number}"
                yield _play_one(side, actors, watcher, connection, model)
    finally:
        engine.dispose()


def read_ledger(side: Side, model: str | None = None) -> list[dict[str, Any]]:
    """Read the ledger over REST, of one model or all of it."""
    lines: list[dict[str, Any]] = []
    with side.site.client(OBSERVER) as client:
        while True:
            after = lines[-1]["number"] if lines else 0
            query = {"after": after, "limit": _PAGE, **({"name": model} if model else {})}
            page = client.expect("GET", "greenroom/ledger", **query)["lines"]
            lines += page
            if len(page) < _PAGE:
                return lines


def _play_one(side: Side, actors: Actors, watcher: Watcher, connection: sa.Connection, model: str) -> Round:
    """Version 1 was live, 2 is, 3 and 4 could be with one more call; then five people act at once."""
    _prepare(side, model)
    acts = choose_acts(model, random.Random(model))  # noqa: S311  # the same acts each time
    watcher.begin(model)
    answers = actors.act(side.flavour, side.site, acts)
    seen = watcher.end()
    at_end = find_faults(read_snapshot(connection, model, has_ledger=side.flavour.has_ledger))
    truth = compare(answers, read_ledger(side, model)) if side.flavour.has_ledger else Truth()
    return Round(answers, seen, at_end, truth)


def choose_acts(model: str, choice: random.Random) -> list[Act]:
    """Two promotions, a rollback, an archival and a deletion, by different people in any order."""
    rita, rob, ray = REVIEWERS
    acts = [
        Act.of(Deed.PROMOTE, model, 3, rita),
        Act.of(Deed.PROMOTE, model, 4, rob),
        Act.of(Deed.ROLL_BACK, model, 1, ray),
        Act.of(Deed.ARCHIVE, model, choice.choice((2, 3)), choice.choice(REVIEWERS)),
        Act.of(Deed.DELETE, model, choice.choice((1, 2, 3)), AUTHOR),
    ]
    choice.shuffle(acts)
    return acts


def _prepare(side: Side, model: str) -> None:
    with side.site.client(AUTHOR) as author:
        author.expect("POST", "mlflow/registered-models/create", name=model)
    versions = [side.flavour.candidate(side.site, model, side.artifact) for _ in range(4)]
    if versions != [1, 2, 3, 4]:
        raise UnexpectedAnswerError(f"the versions of {model} are {versions}, expected 1 to 4")
    with side.site.client(REVIEWERS[0]) as reviewer:
        for version in (1, 2):
            answer = side.flavour.act(reviewer, Act.of(Deed.PROMOTE, model, version, REVIEWERS[0]))
            if not answer.is_done:
                raise UnexpectedAnswerError(f"{model} version {version} was not promoted: {answer.body}")


@dataclass(frozen=True)
class Tally:
    """Rounds, added up; `double_production` counts rounds in which anybody saw two, at any moment."""

    rounds: int = 0
    double_production: int = 0
    double_at_end: int = 0
    alias_disagreements: int = 0
    lost_ledger_lines: int = 0
    untrue_answers: int = 0
    errors: int = 0
    looks: int = 0
    done: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


def add_up(rounds: Iterator[Round], notify: Callable[[], None] = lambda: None) -> Tally:
    """Count what came of the rounds; `notify` is called after each."""
    counts: Counter[str] = Counter()
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for played in rounds:
        ever = played.seen.faults | played.at_end
        counts["rounds"] += 1
        counts["double_production"] += Fault.TWO_IN_PRODUCTION in ever
        counts["double_at_end"] += Fault.TWO_IN_PRODUCTION in played.at_end
        counts["alias_disagreements"] += Fault.ALIAS in ever
        counts["lost_ledger_lines"] += played.truth.lost + (Fault.NO_LINE in ever)
        counts["untrue_answers"] += played.truth.lost + played.truth.untrue
        counts["errors"] += sum(answer.is_error for answer in played.answers)
        counts["looks"] += played.seen.looks + played.seen.calls
        for answer in played.answers:
            (done if answer.is_done else refused)[answer.act.deed] += 1
        notify()
    return Tally(**counts, done=dict(done), refused=dict(refused))

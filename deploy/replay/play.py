"""The days of a replay, one after the other: what is scored, watched and decided on each."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batch_jobs.job import read_job
from batch_jobs.monitoring.alarms import Alarms
from batch_jobs.monitoring.watch import Watch
from deploy.credentials import Role

if TYPE_CHECKING:
    from deploy.replay.clients import Clients
    from deploy.replay.people import People
    from deploy.replay.scene import Endpoint
    from deploy.replay.upstream import Upstream

JOB, MODEL = "flight_delay", "flight-delay"
# The metric that the reviewer of the replay goes by, and how often they look.
DECIDES_BY, LOOKS_EVERY_DAYS = "brier", 3
PATIENCE_DAYS = 60
VALIDATION_DAYS = 31  # as `project.yaml` has it
UNDECIDED = ("keep_going", "no_data")
_UNFIT = 3
# What records answers gathers them for ten seconds, in which days go by here.
_RECORDED_S = 15
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Happened:
    """A line of the closing table: on which day, by whom, what."""

    day: dt.date
    by: str
    what: str


@dataclass
class Play:
    """A replay under way. `candidate` waits for its review since `seen_since`."""

    people: People
    upstream: Upstream
    endpoint: Endpoint
    clients: Clients
    say: Any
    happened: list[Happened] = field(default_factory=list)
    candidate: int | None = None
    seen_since: dt.date | None = None
    _watch: Watch | None = None
    _alarms: Alarms | None = None

    def prepare(self, today: dt.date) -> None:
        """Train the first version on what is known on a day, validate it on the last month, and review it."""
        rows = self.upstream.deliver_past(today)
        self.note(today, "upstream", f"delivered {rows:,} flights, and how they went")
        until = today - VALIDATION_DAYS * _DAY
        run = "mlflow run . --env-manager local --experiment-name flight-delay"
        said = self.people.run(Role.AUTHOR, f"{run} -P project={JOB} -P until={until}")
        version = _found(r"Registered \S+ version (\d+)", said)
        self.people.run(Role.AUTHOR, f"{run} -e validate -P project={JOB} -P version={version}")
        ask = f"python -m registry request {MODEL} {version} --reason 'passes all gates'"
        self.people.type(Role.AUTHOR, ask)
        answer = f"python -m registry approve {MODEL} {version} --reason 'card and plots looked at'"
        self.people.type(Role.REVIEWER, answer)
        self.note(today, "reviewer", f"version {version}, trained until {until}, goes to Production")

    def day(self, day: dt.date) -> None:
        """Score a day, answer its clients; then learn how the day before went, and look at all of it."""
        began = time.monotonic()
        self.upstream.deliver_features(day)
        self.people.type(Role.OPERATOR, f"python -m batch_jobs run {JOB} --date {day}", allowed=(0, _UNFIT))
        versions = self.clients.ask(day, self.upstream.days[day].features)
        before = day - _DAY
        told = 0
        if before in self.clients.asked:
            self.upstream.deliver_outcomes(before)
            told = self.clients.tell(before, self.upstream.outcomes(before))
            figures = self.look_at(before)
        else:
            figures = "nothing known yet"
        answered = "/".join(str(version) for version in sorted(set(versions)))
        seconds = time.monotonic() - began
        self.say(f"{day}  version {answered}, {told} outcomes told; {before}: {figures}  ({seconds:.1f} s)")
        self.review(day)

    def look_at(self, day: dt.date) -> str:
        """Monitor a day; say what came of it, in short."""
        # The login of who monitors is the author of what an alert has trained.
        with self.people.shell(Role.AUTHOR) as environment:
            watch, alarms = self._watching(environment)
            report = watch.day(day)[-1]
            events = alarms.look(day)
            retrained = alarms.act() if events or self.candidate is None else []
        for event in events:
            self.note(day, "monitor", f"{event.alert} {event.kind}: {event.said}")
        for done in retrained:
            self.note(day, "monitor", f"{done.said} ({done.seconds:.0f} s)")
            if done.requested:
                self.candidate = done.version
        shown = {
            (figure.metric, figure.days): figure.value
            for figure in report.figures
            if figure.source == "batch" and figure.slice == "all" and not figure.feature
        }
        auc = [f"auc {value:.3f} of {days} d" for (name, days), value in shown.items() if name == "auc"]
        return ", ".join(auc) or "no outcome yet"

    def review(self, day: dt.date) -> None:
        """Let a candidate see requests, and decide about it when the comparison has."""
        if self.candidate is None:
            return
        if self.seen_since is None:
            self.endpoint.shadow(self.candidate)
            self.seen_since = day
            self.note(day, "operator", f"version {self.candidate} sees a copy of every request from now on")
            return
        seen_days = (day - self.seen_since).days
        if seen_days % LOOKS_EVERY_DAYS and seen_days < PATIENCE_DAYS:
            return
        time.sleep(_RECORDED_S)
        compare = f"python -m serving compare {JOB} --routes {self.endpoint.routes.parent} --json --record"
        found = json.loads(self.people.type(Role.REVIEWER, compare))
        verdict = next(each for each in found["metrics"] if each["metric"] == DECIDES_BY)
        self.say(f"    {verdict['said']}")
        if verdict["outcome"] in UNDECIDED and seen_days < PATIENCE_DAYS:
            return
        self._decide(day, verdict)

    def _decide(self, day: dt.date, verdict: dict[str, Any]) -> None:
        good = verdict["outcome"] == "better"
        verb = "approve" if good else "reject"
        reason = f"live, beside the champion: {verdict['outcome'].replace('_', ' ')} by {DECIDES_BY}"
        decide = f"python -m registry {verb} {MODEL} {self.candidate} --reason '{reason}'"
        self.people.type(Role.REVIEWER, decide)
        went = "goes to Production" if good else "is rejected"
        self.note(day, "reviewer", f"version {self.candidate} {went}: {verdict['said']}")
        self.endpoint.shadow(None)
        self.candidate = self.seen_since = None

    def note(self, day: dt.date, by: str, what: str) -> None:
        """Say what happened, and keep it for the closing table."""
        self.happened.append(Happened(day, by, what))
        self.say(f"{day}  {by}: {what}")

    def _watching(self, environment: Any) -> tuple[Watch, Alarms]:
        if self._watch is None or self._alarms is None:
            import registry

            at_registry = registry.connect(environment)
            self._watch = Watch(read_job(JOB), at_registry, dict(environment))
            self._alarms = Alarms(self._watch, at_registry, dict(environment))
        return self._watch, self._alarms


def _found(pattern: str, said: str) -> str:
    match = re.search(pattern, said)
    if match is None:
        raise AssertionError(f"expected {pattern!r} in: {said[-1000:]}")
    return match[1]

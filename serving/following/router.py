"""Follows the routes of one model: reads what is declared, makes it ready, publishes it to the workers."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from registry import end_exposure, exposed, list_versions
from registry.errors import RegistryError, RegistryUnavailableError
from serving.errors import RoutesError
from serving.files import stamp_of
from serving.following.arm_preparing import Preparations, is_sound
from serving.following.candidates import Known, candidate
from serving.following.events import Event
from serving.following.sharing import Breach, OpenShared, Shared
from serving.routing.declaration import routes_file
from serving.routing.parsing import parse_routes
from serving.routing.published import ArmView, Places, Published, read_published, write_published
from serving.routing.shared_state import Approved
from serving.routing.watch import read_watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from serving.following.events import Level
    from serving.following.follower import Surroundings
    from serving.routing.declaration import Challenger, Routes
    from serving.routing.shared_state import SharedState
    from serving.routing.watch import Watch

_ATTEMPT_CHARACTERS = 64


@dataclass(frozen=True)
class RoutesPlace:
    """Where routes files are, where what is made of one goes, and how what is shared is opened."""

    declared: Path
    places: Places
    open_shared: OpenShared
    now: Callable[[], float] = time.time


class _Reading(NamedTuple):
    routes: Routes | None
    problem: str | None


class Router:
    """One model. `step` is called by one thread, again and again; it waits for S3 and the registry."""

    def __init__(self, model: str, at: Surroundings, place: RoutesPlace) -> None:
        self.model = model
        self._at, self._place = at, place
        self._file = place.declared / routes_file(model)
        self._stamp: object = ()
        self._reading = _Reading(None, None)
        self._known: Known | None = None
        self._asked: str | None = None
        self._preparations = Preparations(at)
        self._shared = Shared(model, place.places.shared, place.open_shared)
        self.published = read_published(place.places.published) or Published(model)
        self._is_written = True
        formats = at.registry.formats
        # One that is stopped has its artifact, too: whether it still is, the shared object says.
        self._held = {v.arm: replace(v, idle=None) for v in self.published.arms if is_sound(v, formats)}

    def step(self) -> Published:
        """Look once, and publish what follows. Raises nothing that files, S3 or the registry can cause."""
        routes = self._read()
        if routes is None:
            return self._publish(Published(self.model, problem=self._reading.problem))
        watch = read_watch(self._place.places.watch)
        self._stop(routes, watch)
        if routes.challengers:
            self._ask()
        else:
            # Nobody's answer depends on it, and each question costs the registry a password check.
            self._known = self._asked = None
        views = [self._arm(each, routes) for each in routes.challengers]
        approved = {
            view.arm: Approved(view.version, view.digest, view.approved_at)
            for view in views
            if view.idle is None and view.version and view.digest and view.approved_at
        }
        state = self._shared.follow(routes, approved, watch, self._place.now())
        problems = (self._reading.problem, self._shared.problem, self._asked)
        published = Published(
            model=self.model,
            arms=_placed(views, routes, state),
            table=state.table,
            entity=routes.entity,
            record=routes.record,
            problem="; ".join(filter(None, problems)) or None,
        )
        self._publish(published)
        self._tell_ledger()
        return published

    def _read(self) -> Routes | None:
        stamp = stamp_of(self._file)
        if stamp == self._stamp:
            return self._reading.routes
        is_first, self._stamp = self._stamp == (), stamp
        if stamp is None:
            if self._reading.routes is not None:
                self._tell("info", "routes_gone", file=str(self._file))
            self._reading = _Reading(None, None)
            return None
        try:
            text = self._file.read_text()
            routes = parse_routes(text, self.model, str(self._file))
        except (OSError, UnicodeDecodeError, RoutesError) as error:
            self._tell("error", "routes_refused", why=str(error))
            before = self._before() if is_first else self._reading.routes
            self._reading = _Reading(before, f"{error}. The routes before stay")
            return before
        self._tell("info", "routes_read", file=str(self._file), arms=[c.arm for c in routes.challengers])
        self._reading = _Reading(routes, None)
        self._keep(text)
        return routes

    def _before(self) -> Routes | None:
        """Return what was declared when an earlier process could last read it."""
        path = self._place.places.declared
        try:
            return parse_routes(path.read_text(), self.model, str(path))
        except (OSError, UnicodeDecodeError, RoutesError):
            return None

    def _keep(self, text: str) -> None:
        path = self._place.places.declared
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            self._tell("warning", "routes_not_kept", problem=str(error))

    def _stop(self, routes: Routes, watch: Watch | None) -> None:
        """Stop what the watch says to stop, before anybody else is asked for anything."""
        for view in self.published.arms if watch is not None else ():
            if view.mode != "canary" or view.idle is not None or routes.challenger(view.arm) is None:
                continue
            seen = watch.of(view.arm, view.digest, view.since) if watch is not None else None
            if seen is None or seen.breach is None or not (view.version and view.digest and view.approved_at):
                continue
            breach = Breach(
                view.arm, view.version, view.digest, view.approved_at, seen.breach, self._place.now()
            )
            if self._shared.breach(breach):
                self._tell("error", "arm_stopped", arm=view.arm, version=view.version, why=seen.breach)

    def _ask(self) -> None:
        registry = self._at.registry
        try:
            versions = {found.version: found for found in list_versions(registry, self.model)}
            self._known = Known(versions, {found.version: found for found in exposed(registry, self.model)})
            self._asked = None
        except RegistryError as error:
            self._asked = str(error)

    def _arm(self, each: Challenger, routes: Routes) -> ArmView:
        """Return an arm with the version that it may have, or with why it has none."""
        held = self._held.get(each.arm)
        if self._known is None or self._asked is not None:
            # What the registry said last holds, as for the champion.
            if held is not None and held.mode == each.mode and each.version in {None, held.version}:
                return replace(held, guards=each.guards if each.mode == "canary" else None)
            return ArmView(each.arm, each.mode, each.version, idle="the registry was not asked yet")
        wanted = candidate(each, routes, self._known, str(self._file))
        if isinstance(wanted, str):
            self._held.pop(each.arm, None)
            return ArmView(each.arm, each.mode, each.version, idle=wanted)
        ready = self._preparations.of(wanted)
        if isinstance(ready, str):
            return ArmView(each.arm, each.mode, wanted.version, wanted.digest, idle=ready)
        allowed = self._known.exposed.get(wanted.version) if each.mode != "shadow" else None
        self._held[each.arm] = ArmView(
            arm=each.arm,
            mode=each.mode,
            version=ready.version,
            digest=ready.manifest.digest,
            manifest=ready.manifest.to_json(),
            folder=str(ready.folder),
            format=ready.format,
            guards=each.guards if each.mode == "canary" else None,
            approved_at=allowed.approved_at if allowed is not None else None,
        )
        return self._held[each.arm]

    def _publish(self, published: Published) -> Published:
        path = self._place.places.published
        if published == self.published and self._is_written:
            return published
        for event in _differences(self.published, published):
            self._at.tell(event)
        self.published = published
        try:
            write_published(path, published)
        except OSError as error:
            if self._is_written:
                self._tell("error", "routes_not_written", problem=str(error), path=str(path))
            self._is_written = False
        else:
            self._is_written = True
        return published

    def _tell_ledger(self) -> None:
        """Have the ledger say why a version was stopped, as soon as the registry can be reached."""
        untold = [breach for breach in self._shared.breaches if not breach.is_in_ledger]
        if untold and self._known is None:
            self._ask()
        if self._known is None or self._asked is not None:
            return
        for breach in untold:
            found = self._known.exposed.get(breach.version)
            if found is None or found.approved_at != breach.approved_at:
                self._shared.told_ledger(breach)  # somebody ended it already
                continue
            reason = f"a guard of arm {breach.arm} stopped it: {breach.reason}"
            attempt = f"{breach.digest[:24]}{breach.approved_at}"[:_ATTEMPT_CHARACTERS]
            try:
                end_exposure(self._at.registry, self.model, breach.version, reason, attempt)
            except RegistryUnavailableError as error:
                self._asked = str(error)
            except RegistryError as error:
                self._tell("error", "exposure_not_ended", version=breach.version, why=str(error))
                self._shared.told_ledger(breach)
            else:
                self._tell("info", "exposure_ended", version=breach.version, reason=reason)
                self._shared.told_ledger(breach)

    def _tell(self, level: Level, name: str, **about: object) -> None:
        self._at.tell(Event(level, name, self.model, about))


def _placed(views: Iterable[ArmView], routes: Routes, state: SharedState) -> tuple[ArmView, ...]:
    """Return the arms with what they get, and those that are stopped with why."""
    counts = Counter(state.table)
    placed = []
    for view, each in zip(views, routes.challengers, strict=True):
        if each.mode == "shadow":
            placed.append(view)
            continue
        moved = replace(view, percent=100 * counts[view.arm] / len(state.table))
        ramp = state.ramps.get(view.arm)
        if each.mode == "canary" and ramp is not None and ramp.digest == view.digest:
            moved = replace(moved, step=ramp.step, since=ramp.since)
        if view.idle is None and view.version and view.digest and view.approved_at:
            stop = state.stop_of(Approved(view.version, view.digest, view.approved_at))
            if stop is not None:
                moved = replace(moved, idle=f"stopped: {stop.reason}; it takes another approval for exposure")
        placed.append(moved)
    return tuple(placed)


def _differences(before: Published, after: Published) -> list[Event]:
    """Say what other arms mean, in the order in which it is to be told."""
    found: list[Event] = []
    earlier = {view.arm: view for view in before.arms}
    for view in after.arms:
        was = earlier.get(view.arm)
        about = {"arm": view.arm, "mode": view.mode, "version": view.version}
        if view.idle is not None and (was is None or was.idle != view.idle):
            found.append(Event("warning", "arm_idle", after.model, {**about, "why": view.idle}))
        elif view.idle is None and (was is None or was.idle is not None or was.digest != view.digest):
            found.append(Event("info", "arm_published", after.model, {**about, "percent": view.percent}))
        elif view.idle is None and was is not None and was.percent != view.percent:
            moved = {**about, "percent": view.percent, "was": was.percent, "step": view.step}
            found.append(Event("info", "arm_moved", after.model, moved))
    if after.problem is not None and after.problem != before.problem:
        found.append(Event("warning", "routes_problem", after.model, {"problem": after.problem}))
    return found

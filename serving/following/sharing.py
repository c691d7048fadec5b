"""The object that all replicas share, as this one has it: with S3 away, what was last seen of it holds.

A stop is kept on disk until it is in the object: an arm that was stopped here does not answer again after a
restart, nor with S3 or the registry away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from serving.errors import RoutesError
from serving.files import read_json, write_json
from serving.routing.shared_state import Approved, SharedState, declared_digest, next_state, stopped
from storage import ObjectChangedError, SharedObject, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from serving.routing.declaration import Routes
    from serving.routing.watch import Watch

_ATTEMPTS = 4

OpenShared = Callable[[str], SharedObject]
"""Opens the object at a declared location; raises `StorageError` where that cannot be."""


@dataclass(frozen=True)
class Breach:
    """A version that a guard stopped here, and that is to be stopped everywhere."""

    arm: str
    version: int
    digest: str
    approved_at: str
    reason: str
    at: float
    is_shared: bool = False
    is_in_ledger: bool = False

    @property
    def approved(self) -> Approved:
        """The version, by the approval under which it answered."""
        return Approved(self.version, self.digest, self.approved_at)


class Shared:
    """Reads and changes the object of one model. `problem` is why it could not, when it was last tried."""

    def __init__(self, model: str, path: Path, open_shared: OpenShared) -> None:
        self.problem: str | None = None
        self._model, self._path, self._open = model, path, open_shared
        self.state, self.breaches = self._remembered()
        self._written = (self.state, self.breaches)
        # The shares that this replica has had its say about: it does not say it again to whoever came later.
        self._settled: str | None = None

    def breach(self, breach: Breach) -> bool:
        """Stop a version here, from now on; return whether that is news."""
        if any(each.approved == breach.approved for each in self.breaches):
            return False
        self.breaches = (*self.breaches, breach)
        self.state = self._with_breaches(self.state)
        self._remember()
        return True

    def told_ledger(self, breach: Breach) -> None:
        """Note that the ledger says why a version was stopped, or has no need to."""
        self.breaches = tuple(replace(b, is_in_ledger=True) if b == breach else b for b in self.breaches)
        self._forget()

    def follow(
        self, routes: Routes, approved: Mapping[str, Approved], watch: Watch | None, now: float
    ) -> SharedState:
        """Return the state for these routes, after changing it as far as this replica may."""
        location = routes.state_location
        if location is None:
            self.problem = None
            return SharedState(self._model)
        try:
            self._change(location, routes, approved, watch, now)
        except (StorageError, RoutesError) as error:
            self.problem = str(error)
        self._remember()
        return self.state

    def _change(
        self,
        location: str,
        routes: Routes,
        approved: Mapping[str, Approved],
        watch: Watch | None,
        now: float,
    ) -> None:
        shared, declared = self._open(location), declared_digest(routes)
        for _ in range(_ATTEMPTS):
            seen = shared.get()
            before = SharedState(self._model)
            if seen is not None:
                before = SharedState.from_json(seen.body, shared.uri, self._model)
            after = self._with_breaches(before)
            is_mine = after.declared == declared or self._settled != declared
            if is_mine:
                after = next_state(after, routes, approved, watch, now)
            if after != before or seen is None:
                try:
                    shared.put(after.to_json(), seen)
                except ObjectChangedError:
                    continue
            self.state, self._settled = after, declared
            self.problem = None if is_mine else f"{shared.uri} has the shares that another endpoint declares"
            self.breaches = tuple(replace(breach, is_shared=True) for breach in self.breaches)
            self._forget()
            return
        raise RoutesError(f"{shared.uri} is being changed by others again and again; it is tried again")

    def _with_breaches(self, state: SharedState) -> SharedState:
        for breach in self.breaches:
            if state.stop_of(breach.approved) is None:
                state = stopped(state, breach.arm, breach.approved, breach.reason, breach.at)
        return state

    def _forget(self) -> None:
        self.breaches = tuple(each for each in self.breaches if not (each.is_shared and each.is_in_ledger))
        self._remember()

    def _remembered(self) -> tuple[SharedState, tuple[Breach, ...]]:
        found = read_json(self._path) or {}
        try:
            state = SharedState.from_json(found["state"], str(self._path), self._model)
            return state, tuple(Breach(**each) for each in found["breaches"])
        except (KeyError, TypeError, RoutesError):
            return SharedState(self._model), ()

    def _remember(self) -> None:
        now = (self.state, self.breaches)
        if now == self._written:
            return
        try:
            write_json(
                self._path,
                {"state": self.state.to_json(), "breaches": [asdict(each) for each in self.breaches]},
            )
        except OSError as error:
            self.problem = f"What is shared can not be kept in {self._path}: {error}"
            return
        self._written = now

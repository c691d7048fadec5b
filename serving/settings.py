"""What an operator may set of an endpoint, each with a default that is safe to leave alone."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from serving.contract.limits import Limits
from serving.errors import SettingsError

_HIGHEST_PORT = 65_535
_MIB = 1024 * 1024
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HOST_NAME = re.compile(r"[A-Za-z0-9._\[\]:-]{1,253}")
_TOKEN = re.compile(r"[\x21-\x7e]{16,512}")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# For how many: counts from 1, and durations above 0.
_COUNTS = (
    "workers",
    "threads",
    "max_waiting",
    "max_connections",
    "max_rows",
    "max_body_bytes",
    "max_held_bytes",
)
_DURATIONS = ("deadline_s", "read_timeout_s", "keep_alive_s", "drain_s")


@dataclass(frozen=True)
class Settings:
    """How one endpoint runs. Counts and times are those of one worker.

    `max_waiting` requests may wait for an answer; the next is answered 503 at once. `deadline_s` is how
    long an answer may take, `read_timeout_s` how long a request may take to arrive. On SIGTERM the
    endpoint says for `drain_delay_s` that it is not ready, then finishes within `drain_s`. `offline` is to
    serve what the cache has, and ask no registry. `routes` is the folder of routes files.
    """

    models: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 5001
    workers: int = 1
    threads: int = 2
    max_body_bytes: int = 16 * _MIB
    max_held_bytes: int = 256 * _MIB
    max_rows: int = 100_000
    max_waiting: int = 64
    max_connections: int = 1000
    deadline_s: float = 30.0
    read_timeout_s: float = 10.0
    keep_alive_s: float = 75.0
    drain_delay_s: float = 0.0
    drain_s: float = 20.0
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None
    behind_proxy: bool = False
    lenient: bool = False
    offline: bool = False
    routes: str = "serving"

    def __post_init__(self) -> None:
        for check in (self._check_models, self._check_numbers, self._check_who_may_ask):
            check()

    @property
    def limits(self) -> Limits:
        """What one request may ask for."""
        return Limits(self.max_rows, self.max_body_bytes)

    @property
    def hosts(self) -> frozenset[bytes]:
        """The names that a request may ask for in its Host, without port."""
        names = {*_LOOPBACK, *self.allowed_hosts}
        if not _is_any(self.host):
            names.add(f"[{self.host}]" if ":" in self.host else self.host)
        return frozenset(name.lower().encode() for name in names)

    def _check_models(self) -> None:
        if not self.models:
            raise SettingsError("No model is named; expected at least one, as it is registered")
        for name in self.models:
            if not _MODEL_NAME.fullmatch(name):
                raise SettingsError(
                    f"{name[:80]!r} is not a model name; expected up to 128 letters, digits, '-', '_', '.'"
                )
        if len(set(self.models)) != len(self.models):
            raise SettingsError("A model is named twice; each is served once, under its name")

    def _check_numbers(self) -> None:
        if not 0 <= self.port <= _HIGHEST_PORT:
            raise SettingsError(f"port is {self.port}, expected 0 (any that is free) to {_HIGHEST_PORT}")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in _DURATIONS:
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"{name} is {getattr(self, name)}, expected seconds above 0")
        if not 0 <= self.drain_delay_s < float("inf"):
            raise SettingsError(f"drain_delay_s is {self.drain_delay_s}, expected seconds from 0")

    def _check_who_may_ask(self) -> None:
        for name in self.allowed_hosts:
            if not _HOST_NAME.fullmatch(name) or "*" in name:
                raise SettingsError(
                    f"{name[:80]!r} is not the name of a host; expected one like api.example.com"
                )
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise SettingsError("The token is not 16 to 512 printable characters without a blank")
        if not _is_loopback(self.host) and self.token is None and not self.behind_proxy:
            raise SettingsError(
                f"{self.host} can be reached from other machines, and anybody there could ask. Set"
                " GREENROOM_SERVING_TOKEN, or say --behind-proxy where a proxy asks who it is"
            )


def _is_any(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}  # noqa: S104  # compared with, not bound to


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

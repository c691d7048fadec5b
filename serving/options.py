"""The options of `python -m serving start`: each is a setting of `Settings`, by its name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from serving.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TOKEN = "GREENROOM_SERVING_TOKEN"  # noqa: S105  # the name of a variable


def add_start_options(verb: argparse.ArgumentParser) -> None:
    """Add them; what is not given has the default of `Settings`."""
    verb.add_argument(
        "models", nargs="+", metavar="MODEL", help="as registered; the first is /invocations, too"
    )
    verb.add_argument("--server", choices=("greenroom", "mlflow"), default="greenroom")
    verb.add_argument(
        "--compat",
        choices=("strict", "mlflow"),
        default="strict",
        help="mlflow: what the contract refuses is left to MLflow's own, slower and lenient reading",
    )
    for name, kind, said in _OPTIONS:
        default = getattr(Settings, name)
        shown = "none" if default is None else f"{default:g}" if isinstance(default, float) else default
        verb.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{said} (default: {shown})"
        )
    verb.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that clients ask for it by"
    )
    verb.add_argument(
        "--behind-proxy", action="store_true", help="a proxy asks who it is, so no token is needed here"
    )
    verb.add_argument(
        "--offline",
        action="store_true",
        help="serve the versions in the cache for good, as in a container of `build`; no registry is asked",
    )


def settings_of(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a command. Raises `SettingsError`."""
    return Settings(
        models=tuple(options.models),
        allowed_hosts=tuple(options.allow_host),
        token=environment.get(TOKEN) or None,
        behind_proxy=options.behind_proxy,
        lenient=options.compat == "mlflow",
        offline=options.offline,
        **{name: getattr(options, name) for name, _, _ in _OPTIONS},
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number") from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds") from None


_OPTIONS: tuple[tuple[str, Callable[[str], object], str], ...] = (
    ("host", str, "the address to listen on; another than loopback needs a token"),
    ("port", _whole, "the port; 0 takes a free one"),
    ("workers", _whole, "processes that answer"),
    ("threads", _whole, "threads of a worker for large requests"),
    ("max_body_bytes", _whole, "of one request, also when it is unzipped"),
    ("max_held_bytes", _whole, "of all requests that are still arriving at a worker"),
    ("max_rows", _whole, "of one request"),
    ("max_waiting", _whole, "requests that wait for a worker; the next is answered 503 at once"),
    ("max_connections", _whole, "to a worker"),
    ("deadline_s", _seconds, "for an answer; then 504"),
    ("read_timeout_s", _seconds, "for a request to arrive; then 408"),
    ("keep_alive_s", _seconds, "that a connection may be idle"),
    ("drain_delay_s", _seconds, "after SIGTERM, /ready says no for so long before the endpoint stops"),
    ("routes", str, "the folder of routes files, MODEL.yaml with '_' for '-': who answers beside Production"),
    ("drain_s", _seconds, "for what is under way when the endpoint stops"),
)

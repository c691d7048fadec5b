"""Starts an endpoint: the address is taken, and there is something to serve, before a process is forked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

from serving.errors import AddressError, ServingError
from serving.following.view import View, cache_of, read_view, view_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from serving.settings import Settings

_BACKLOG = 2048


def view_paths(settings: Settings, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where the view of each model lies, by the settings that `registry` goes by, too."""
    uri = environment.get("MLFLOW_TRACKING_URI", "")
    return tuple(view_path(cache_of(environment), uri, name) for name in settings.models)


def first_views(settings: Settings, paths: Sequence[Path], environment: Mapping[str, str]) -> int:
    """See that there is a version of each model to serve; return the exit code of whoever found none.

    What was served before is served again at once; only what is not known here waits for the registry.
    Raises `ServingError` where it is not to be asked.
    """
    unknown = [n for n, p in zip(settings.models, paths, strict=True) if not _has_version(read_view(p))]
    if not unknown:
        return 0
    if settings.offline:
        where = paths[settings.models.index(unknown[0])]
        raise ServingError(
            f"No version of {unknown[0]} is known here, and --offline asks no registry: expected the view"
            f" {where}. Start without it once, or from the folder that `build` wrote"
        )
    command = [sys.executable, "-m", "serving.following", *unknown, "--once"]
    return subprocess.run(command, env=dict(environment), check=False).returncode


def listen(host: str, port: int) -> socket.socket:
    """Take an address. Raises `AddressError` where it is taken, or none of this machine's."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise AddressError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. Choose another with --port, or"
            " --port 0 for any that is free"
        ) from error
    listener.set_inheritable(True)
    return listener


def run_mlflow(path: Path, settings: Settings, environment: Mapping[str, str]) -> NoReturn:
    """Become `mlflow models serve` on the verified artifact of the view at `path`."""
    view = read_view(path)
    if view is None or view.folder is None:
        raise ServingError(f"{settings.models[0]} is not in Production any more")
    command = ["mlflow", "models", "serve", "-m", str(view.folder), "--env-manager", "local"]
    command += ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.workers)]
    # Byte code beside its code would be a file that was not registered.
    os.execvpe(command[0], command, {**environment, "PYTHONDONTWRITEBYTECODE": "1"})  # noqa: S606  # no shell


def _has_version(view: View | None) -> bool:
    return view is not None and view.version is not None

"""The Dockerfile of an image that serves one version. Pure."""

from __future__ import annotations

import json

PORT = 8080
_TEMPLATE = """\
# Serves {model} version {version}, and nothing else: it asks no registry, and needs no network to start.
# Written by: python -m serving build
FROM python:{python}-slim
LABEL greenroom.model="{model}" greenroom.version="{version}" greenroom.digest="{digest}"
WORKDIR /greenroom
COPY requirements.txt .
RUN pip install --no-cache-dir --only-binary :all: {options}-r requirements.txt
COPY . .
RUN useradd --system --no-create-home greenroom
USER greenroom
ENV GREENROOM_CACHE_DIR=cache
ENV PYTHONDONTWRITEBYTECODE=1
ENV MLFLOW_DISABLE_TELEMETRY=true
ENV DO_NOT_TRACK=true
EXPOSE {port}
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=20s CMD {health}
# Give it GREENROOM_SERVING_TOKEN, or end with --behind-proxy; and with --allow-host and the name that clients
# ask for it by.
ENTRYPOINT {entrypoint}
"""


def write_dockerfile(model: str, version: int, digest: str, python: str, *, is_hashed: bool) -> str:
    """Return the Dockerfile; `is_hashed` says whether the requirements have hashes to be held to."""
    command = ["python", "-m", "serving", "start", model, "--offline", "--host", "0.0.0.0"]  # noqa: S104  # of a container
    asks = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/ready', timeout=3)"
    return _TEMPLATE.format(
        model=model,
        version=version,
        digest=digest,
        python=python,
        options="--require-hashes " if is_hashed else "",
        port=PORT,
        health=json.dumps(["python", "-c", asks]),
        entrypoint=json.dumps([*command, "--port", str(PORT)]),
    )

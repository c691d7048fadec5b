"""Asks an endpoint whose version changes: `python -m benchmarks.storm_load FILE PORT CLIENTS SECONDS [RATE]`.

As `benchmarks.serving_load` does, in a process of its own; but an answer may be a refusal, and predictions
are held against the version that the answer names. Prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import re
import sys
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving_load import UnexpectedAnswerError, ask, predictions, request_of

_STATUS = re.compile(rb"HTTP/1.1 (\d+)")
_VERSION = re.compile(rb"(?i)\nx-model-version: *(\d+)")


def main() -> None:
    """Ask once, and print what was heard."""
    file, port, clients, seconds = sys.argv[1:5]
    rate = float(sys.argv[5]) if sys.argv[5:] else None
    document = json.loads(Path(file).read_text())
    requests = [request_of("/invocations", body.encode()) for body in document["bodies"]]
    gc.disable()
    asking = ask(requests, int(port), int(clients), float(seconds), rate)
    print(json.dumps(heard(asking.done, document["answers"])))


def heard(
    done: list[tuple[float, float, int, bytes]], answers: dict[str, list[list[float]]]
) -> dict[str, Any]:
    """Say how many answers had which status and version, how many were wrong, and what each accepted took."""
    statuses: Counter[str] = Counter()
    versions: Counter[str] = Counter()
    wrong, took_ms = 0, []
    for due, then, which, raw in done:
        head, _, body = raw.partition(b"\r\n\r\n")
        status = _STATUS.match(head)
        statuses[status[1].decode() if status else "none"] += 1
        version = _VERSION.search(head)
        if status is None or status[1] != b"200" or version is None:
            continue
        name = version[1].decode()
        versions[name] += 1
        took_ms.append(1000 * (then - due))
        wrong += predictions(body) != array("f", answers[name][which])
    p50, p99 = np.percentile(took_ms, (50, 99)) if took_ms else (0.0, 0.0)
    return {
        "statuses": statuses,
        "versions": versions,
        "wrong": wrong,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "max_ms": max(took_ms, default=0.0),
        "took_ms": [round(each, 3) for each in took_ms],
    }


if __name__ == "__main__":
    try:
        main()
    except (OSError, UnexpectedAnswerError) as error:
        sys.exit(f"{error}")

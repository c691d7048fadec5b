"""What was promised of the endpoint, and what was not held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.serving_figures import FLOOR, HELLO, MLFLOW, OURS

if TYPE_CHECKING:
    from benchmarks.serving_figures import Figures

LEAST_P50_RATIO, LEAST_RPS_RATIO, LEAST_RATIO_100_ROWS = 20, 25, 10
LEAST_SHARE_OF_FLOOR, LEAST_FLOOR_RATIO, LEAST_HELLO_RATIO = 0.8, 20, 3
MOST_P99_HALF_LOAD_MS, MOST_READY_S, MOST_WORKER_MIB = 2.0, 3.0, 40.0


def broken(found: Figures) -> list[str]:
    """Return a sentence for each promise that was measured and not held."""
    floor = min(FLOOR, key=lambda name: -(found.median(name, lambda seen: seen.closed[1, 8].rate) or 0))
    floor_p50, floor_rps = found.p50_ratio(MLFLOW, ours=floor), found.rps_ratio(MLFLOW, ours=floor)
    wrong = "the floor itself is {:.1f} times {} of MLflow, so the measurement is wrong; expected at least {}"
    asker = "hello world has only {:.1f} times the requests of the floor, so the asker may be what is slow"
    least = [
        (found.p50_ratio(MLFLOW), LEAST_P50_RATIO, "{:.1f} times faster than MLflow on one row, p50 alone"),
        (found.rps_ratio(MLFLOW), LEAST_RPS_RATIO, "{:.1f} times MLflow's requests a second per worker"),
        (
            found.p50_ratio(MLFLOW, rows=100),
            LEAST_RATIO_100_ROWS,
            "{:.1f} times faster than MLflow on 100 rows",
        ),
        (found.rps_ratio(FLOOR), LEAST_SHARE_OF_FLOOR, "{:.2f} of the floor's requests a second"),
        (found.p50_ratio(FLOOR), LEAST_SHARE_OF_FLOOR, "{:.2f} of the floor's speed on one row, p50 alone"),
    ]
    said = [
        f"{sentence.format(value)}; expected at least {promised:g}"
        for value, promised, sentence in least
        if value is not None and value < promised
    ]
    for value, name in ((floor_p50, "the speed"), (floor_rps, "the requests a second")):
        if value is not None and value < LEAST_FLOOR_RATIO:
            said.append(wrong.format(value, name, LEAST_FLOOR_RATIO))
    hello = found.rps_ratio(FLOOR, ours=HELLO)
    if hello is not None and hello < LEAST_HELLO_RATIO:
        said.append(f"{asker.format(hello)}; expected at least {LEAST_HELLO_RATIO}")
    most = [
        (found.half_p99(), MOST_P99_HALF_LOAD_MS, "{:.2f} ms p99 of one row at half of saturation"),
        (found.median(OURS, lambda seen: seen.ready_s), MOST_READY_S, "{:.1f} s from start to ready"),
        (
            found.extra_worker(lambda seen: seen.private_bytes),
            MOST_WORKER_MIB,
            "{:.1f} MiB private to an idle extra worker",
        ),
    ]
    for value, promised, sentence in most:
        if value is not None and value > promised:
            said.append(f"{sentence.format(value)}; expected {promised:g} at most")
    return said

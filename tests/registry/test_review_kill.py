"""`kill -9` of the whole server while decisions are made: each is there as a whole, or not at all."""

from __future__ import annotations

import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import requests
from review_house import EXHAUSTIVE, House, new_name

pytest_plugins = ["review_fixtures"]

KILLS = 40 if EXHAUSTIVE else 1
AT_ONCE = 4
TARGETS = {"approve": 2, "rollback": 1, "archive": 1}
WHOLE = {
    "approve": ["approved", "archived", "promoted"],
    "rollback": ["archived", "rolled back"],
    "archive": ["archived"],
}


def test_killed_while_it_decides(house: House) -> None:
    generator = random.Random(11)
    for _ in range(KILLS):
        acts = [generator.choice([*WHOLE]) for _ in range(AT_ONCE)]
        models = [new_name("killed") for _ in acts]
        for act, model in zip(acts, models, strict=True):
            house.live(model)
            if act == "rollback":
                house.live(model)
            else:
                house.staged(model)
        attempts = [str(uuid.uuid4()) for _ in acts]

        def ask(
            at: int, acts: list[str] = acts, models: list[str] = models, ids: list[str] = attempts
        ) -> int:
            try:
                answer = house.ask("rob", acts[at], models[at], TARGETS[acts[at]], attempt=ids[at])
            except requests.RequestException:
                return 0
            return answer.status_code

        with ThreadPoolExecutor(AT_ONCE) as pool:
            sent = [pool.submit(ask, at) for at in range(AT_ONCE)]
            time.sleep(generator.uniform(0.0, 0.4))
            house.server.kill()
            told = [one.result() for one in sent]
        lines = house.lines()
        for at, (act, model) in enumerate(zip(acts, models, strict=True)):
            written = [str(line.action) for line in lines if line.attempt == attempts[at]]
            assert written in ([], WHOLE[act]), (act, written)
            # Whoever was told that it is done was told the truth.
            assert told[at] in {0, 200}
            assert told[at] == 0 or written == WHOLE[act]
            house.stages(model)
        house.server.start()
        for at in range(AT_ONCE):
            # Sent again, it is done once.
            assert ask(at) == 200
        lines = house.lines()
        for at, (act, model) in enumerate(zip(acts, models, strict=True)):
            assert [str(line.action) for line in lines if line.attempt == attempts[at]] == WHOLE[act]
            stages = {
                "approve": {1: "Archived", 2: "Production"},
                "rollback": {1: "Production", 2: "Archived"},
                "archive": {1: "Archived", 2: "Staging"},
            }
            assert house.stages(model) == stages[act]

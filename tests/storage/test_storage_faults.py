"""Every request of a commit fails once, in every way; a rerun leaves what an undisturbed run leaves."""

import os
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from faulty_s3 import Fault, FaultyS3, Request, faulty_s3

from storage import (
    Notes,
    Part,
    S3Settings,
    StorageError,
    StorageUnavailableError,
    Store,
    commit_parts,
    count_commits,
    write_part,
)

EXHAUSTIVE = bool(os.environ.get("GREENROOM_EXHAUSTIVE"))
SAMPLE = 6
# A run sends a request more or less than another: what is read of a table's log at once is up to threads.
VARIES = 2
SCHEMA = pa.schema([("date", pa.date32()), ("outcome", pa.string()), ("word", pa.string())])
BY = ["date", "outcome"]
DAY = "2013-07-01"
EXPECTED = Counter({f"new {n}": 2 for n in range(3)})


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as proxy:
        yield proxy


@pytest.fixture
def table(s3: S3Settings) -> str:
    assert s3.endpoint
    return f"s3://greenroom/{uuid.uuid4().hex}/table"


def part(table: str, word: str, store: Store) -> Part:
    rows = pa.table({"word": [word] * 2})
    made = write_part(table, {"date": DAY, "outcome": "scored"}, rows, SCHEMA, store)
    assert made is not None
    return made


def run(table: str, s3: S3Settings) -> int:
    """What a batch job does: note each part once, then commit those that the notes name."""
    store = Store.connect(s3)
    notes = Notes(store, f"{table}/_staging/plan")
    notes.probe()
    for n in range(3):
        if notes.get(f"part-{n}") is None:
            notes.put_new(f"part-{n}", part(table, f"new {n}", store).to_plain())
    noted = [notes.get(name) for name in notes.list()]
    parts = [Part.from_plain(note) for note in noted if note is not None]
    return commit_parts(table, parts, SCHEMA, ("date", DAY), BY, s3)


def live(table: str, s3: S3Settings) -> Counter[str]:
    found = DeltaTable(table, storage_options=s3.delta_options()).to_pyarrow_table()
    return Counter(found["word"].to_pylist())


def start(table: str, s3: S3Settings, *, filled: bool) -> None:
    if filled:
        commit_parts(table, [part(table, "old", Store.connect(s3))], SCHEMA, ("date", DAY), BY, s3)


def requests_of_a_run(faulty: FaultyS3, s3: S3Settings, *, filled: bool) -> int:
    table = f"s3://greenroom/{uuid.uuid4().hex}/table"
    start(table, s3, filled=filled)
    faulty.forget()
    run(table, faulty.settings)
    assert live(table, s3) == EXPECTED
    return len(faulty.requests)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("filled", [False, True], ids=["no table", "a filled partition"])
def test_any_request_may_fail_once(s3: S3Settings, faulty: FaultyS3, *, filled: bool, fault: Fault) -> None:
    count = requests_of_a_run(faulty, s3, filled=filled)
    numbers = range(1, count + 1)
    chosen = numbers if EXHAUSTIVE else sorted(random.Random(fault.name).sample(numbers, SAMPLE))
    for number in chosen:
        table = f"s3://greenroom/{uuid.uuid4().hex}/table"
        start(table, s3, filled=filled)
        faulty.fail(fault, at=number)
        try:
            run(table, faulty.settings)
        except StorageUnavailableError:
            faulty.forget()
            if DeltaTable.is_deltatable(table, s3.delta_options()):
                assert live(table, s3) in (Counter({"old": 2} if filled else {}), EXPECTED), number
            run(table, faulty.settings)
        else:
            assert faulty.failed or number > count - VARIES, number
        faulty.forget()
        assert live(table, s3) == EXPECTED, (number, faulty.requests)


@pytest.mark.parametrize("fault", Fault)
def test_an_outage_that_begins_anywhere(s3: S3Settings, faulty: FaultyS3, fault: Fault) -> None:
    count = requests_of_a_run(faulty, s3, filled=True)
    numbers = range(1, count + 1)
    for number in numbers if EXHAUSTIVE else random.Random(fault.name).sample(numbers, 1):
        table = f"s3://greenroom/{uuid.uuid4().hex}/table"
        start(table, s3, filled=True)
        faulty.fail(fault, at=number, onward=True)
        said = ""
        try:
            run(table, faulty.settings)
        except StorageUnavailableError as error:
            said = str(error)
        if said:
            assert re.search("try again|try later|run again", said), (number, said)
            assert live(table, s3) in (Counter({"old": 2}), EXPECTED)
        else:
            # The last request looks for what came after the commit, which has been read back by then.
            assert number > count - VARIES
            assert live(table, s3) == EXPECTED
        faulty.forget()
        run(table, faulty.settings)
        assert live(table, s3) == EXPECTED


def is_commit(request: Request) -> bool:
    return request.method in {"PUT", "POST"} and "/_delta_log/" in request.path and ".json" in request.path


def test_a_commit_whose_answer_was_lost_is_a_success(s3: S3Settings, faulty: FaultyS3, table: str) -> None:
    start(table, s3, filled=True)
    faulty.fail(Fault.LOST_ANSWER, at=is_commit)
    assert run(table, faulty.settings) == 2
    assert faulty.failed
    assert live(table, s3) == EXPECTED
    assert count_commits(table, ("date", DAY), s3) == 2


def test_an_answer_that_was_lost_and_a_table_that_is_gone(
    s3: S3Settings, faulty: FaultyS3, table: str
) -> None:
    start(table, s3, filled=True)
    faulty.fail(Fault.LOST_ANSWER, at=is_commit, onward=True)
    with pytest.raises(StorageUnavailableError, match=r"or read whether it was committed: .*run again"):
        run(table, faulty.settings)
    # It was, and nobody deleted anything: the rerun sees it.
    assert live(table, s3) == EXPECTED
    assert count_commits(table, ("date", DAY), s3) == 2


def test_of_two_commits_that_cross_the_second_sees_the_first(
    s3: S3Settings, faulty: FaultyS3, table: str
) -> None:
    start(table, s3, filled=True)
    other = part(table, "other", Store.connect(s3))
    faulty.fail(partial(commit_parts, table, [other], SCHEMA, ("date", DAY), BY, s3), at=is_commit)
    with pytest.raises(StorageError, match=f"another writer committed to date={DAY} first"):
        run(table, faulty.settings)
    assert live(table, s3) == {"other": 2}


def test_a_commit_to_another_partition_in_between(s3: S3Settings, faulty: FaultyS3, table: str) -> None:
    start(table, s3, filled=True)
    faulty.fail(partial(commit_parts, table, [], SCHEMA, ("date", "2013-07-02"), BY, s3), at=is_commit)
    assert run(table, faulty.settings) == 3
    assert live(table, s3) == EXPECTED

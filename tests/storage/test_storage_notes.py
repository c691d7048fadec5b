"""Notes: of many who write one, one wrote it, and knows."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.awsrequest import AWSRequest
from faulty_s3 import Fault, FaultyS3, faulty_s3

from storage import Notes, S3Settings, StorageError, StorageUnavailableError, Store


@pytest.fixture
def prefix() -> str:
    return f"s3://greenroom/{uuid.uuid4().hex}/_staging/plan"


@pytest.fixture(scope="module")
def faulty(s3: S3Settings) -> Iterator[FaultyS3]:
    with faulty_s3(s3) as proxy:
        yield proxy


def test_a_note_is_written_once(store: Store, prefix: str) -> None:
    notes = Notes(store, prefix)
    notes.probe()
    notes.probe()
    assert (notes.list(), notes.get("begun")) == ((), None)
    assert notes.put_new("begun", {"run": "ü", "n": [1, None]})
    assert not notes.put_new("begun", {"run": "another"})
    assert notes.put_new("a b=1", {})
    assert notes.get("begun") == {"run": "ü", "n": [1, None]}
    assert notes.list() == ("a b=1", "begun")


def test_of_many_at_once_one_wrote_it(store: Store, prefix: str) -> None:
    notes = Notes(store, prefix)
    with ThreadPoolExecutor(10) as pool:
        won = [*pool.map(lambda n: notes.put_new("begun", {"run": n}), range(10))]
    assert won.count(True) == 1
    assert notes.get("begun") == {"run": won.index(True)}


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_fault_while_writing_is_settled(
    s3: S3Settings, faulty: FaultyS3, prefix: str, fault: Fault, number: int
) -> None:
    notes = Notes(Store.connect(faulty.settings), prefix)
    faulty.fail(fault, at=number)
    assert notes.put_new("begun", {"run": "mine"})
    assert not notes.put_new("begun", {"run": "theirs"})
    assert Notes(Store.connect(s3), prefix).get("begun") == {"run": "mine"}


def test_s3_that_went_away_leaves_it_open(s3: S3Settings, faulty: FaultyS3, prefix: str) -> None:
    notes = Notes(Store.connect(faulty.settings), prefix)
    faulty.fail(Fault.LOST_ANSWER, at=1, onward=True)
    with pytest.raises(StorageUnavailableError, match=r"S3 does not answer .*Then try again"):
        notes.put_new("begun", {"run": "mine"})
    assert Notes(Store.connect(s3), prefix).get("begun") == {"run": "mine"}


def test_a_store_that_ignores_conditional_writes_is_refused(s3: S3Settings, prefix: str) -> None:
    careless = Store.connect(s3)

    def forget(request: AWSRequest, **_: object) -> None:
        del request.headers["If-None-Match"]

    careless.client.meta.events.register("before-sign.s3.PutObject", forget)
    with pytest.raises(StorageError) as refused:
        Notes(careless, prefix).probe()
    assert str(refused.value) == (
        f"The store of {prefix} ignores conditional writes (PUT with If-None-Match: *): it wrote an object"
        " twice. Use a store that has them: AWS S3, or SeaweedFS 4 or newer"
    )


@pytest.mark.parametrize("name", ["", "a/b", "../x"])
def test_names_that_are_none(store: Store, prefix: str, name: str) -> None:
    with pytest.raises(StorageError, match=r"A note cannot be named .*; expected a name without '/'"):
        Notes(store, prefix).put_new(name, {})


def test_what_is_no_note(store: Store, prefix: str) -> None:
    store.write(f"{prefix}/text.json", b"not JSON")
    store.write(f"{prefix}/number.json", b"3")
    for name, said in (("text", "is not JSON"), ("number", "holds int; expected a JSON object")):
        with pytest.raises(StorageError, match=said):
            Notes(store, prefix).get(name)

"""Objects that are too large for one piece: sent in parts, made once, whole or not at all."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from headway.builds.storage.s3 import S3Storage
from headway.errors import Refused, Unreachable
from tests.contract import buckets

BIG = bytes(range(256)) * 4096
Bucket = Callable[[str], S3Storage]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with buckets.moto(tmp_path_factory.mktemp("moto")) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with buckets.rclone(tmp_path_factory.mktemp("rclone")) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Opens a place of its own, where all but the smallest objects are sent in parts."""
    with ExitStack() as opened:

        def at(endpoint: str) -> S3Storage:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", buckets.ACCESS)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", buckets.SECRET)
            monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            place = f"s3://{buckets.BUCKET}/{secrets.token_hex(4)}"
            store = S3Storage(place, sleep=lambda _: None, part_bytes=buckets.PART_BYTES)
            opened.enter_context(closing(store))
            # At its first write it finds out what the server can.
            store.write("first", [b""])
            return store

        yield at


def whole(store: S3Storage, path: str) -> bytes:
    return b"".join(store.read(path))


class Sent:
    """What goes out in parts; ``before`` is called with each one's number."""

    def __init__(self, store: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.before: Callable[[int], None] = lambda _: None
        self._store = store
        genuine = store._client.upload_part

        def upload_part(**how: Any) -> Any:
            self.before(how["PartNumber"])
            self.sizes.append(len(how["Body"]))
            return genuine(**how)

        monkeypatch.setattr(store._client, "upload_part", upload_part)

    def unfinished(self) -> list[str]:
        """The objects of which there are parts."""
        answer = self._store._client.list_multipart_uploads(Bucket=buckets.BUCKET)
        return [one["Key"] for one in answer.get("Uploads", ())]


def test_a_large_object_comes_in_parts_and_only_once(
    moto: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket(moto)
    content = secrets.token_bytes(10 * buckets.PART_BYTES + 1)
    sent = Sent(store, monkeypatch)
    store.write("large", [content])
    assert sent.sizes == [buckets.PART_BYTES] * 10 + [1], "no more than that is in memory"
    assert whole(store, "large") == content
    store.write("large", [content])
    assert len(sent.sizes) == 11, "it was there, and needed no second upload"
    with pytest.raises(Refused):
        store.write("large", [content[:-1]])
    store.write("just-one", [content[: buckets.PART_BYTES]])
    assert len(sent.sizes) == 11
    assert sent.unfinished() == []


@pytest.mark.parametrize("server", ["moto", "rclone"])
def test_parts_of_an_upload_that_fails_do_not_stay(
    server: str,
    request: pytest.FixtureRequest,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = bucket(request.getfixturevalue(server))
    sent = Sent(store, monkeypatch)

    def broken(number: int) -> None:
        if number == 3:
            assert sent.unfinished() == [store._key("large")]
            raise KeyboardInterrupt

    sent.before = broken
    with pytest.raises(KeyboardInterrupt):
        store.write("large", [BIG])
    assert sent.unfinished() == []
    assert store.size("large") is None
    sent.before = lambda _: None
    store.write("large", [BIG])
    assert whole(store, "large") == BIG


@pytest.mark.parametrize("other", [b"somebody else's", BIG])
def test_who_comes_second_with_parts_replaces_nothing(
    moto: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, other: bytes
) -> None:
    store = bucket(moto)
    sent = Sent(store, monkeypatch)

    def overtaken(number: int) -> None:
        if number == 2:
            store.replace("large", other)

    sent.before = overtaken
    if other == BIG:
        store.write("large", [BIG])
    else:
        with pytest.raises(Refused):
            store.write("large", [BIG])
    assert whole(store, "large") == other
    assert sent.unfinished() == []


def test_a_race_that_the_server_will_not_judge_is_run_again(
    moto: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket(moto)
    sent = Sent(store, monkeypatch)
    genuine, asked = store._client.complete_multipart_upload, []
    answer = {
        "Error": {"Code": "ConditionalRequestConflict"},
        "ResponseMetadata": {"HTTPStatusCode": 409},
    }

    def complete(**how: Any) -> Any:
        asked.append(how["UploadId"])
        if len(asked) == 1:
            raise ClientError(answer, "CompleteMultipartUpload")
        return genuine(**how)

    monkeypatch.setattr(store._client, "complete_multipart_upload", complete)
    store.write("large", [BIG])
    assert whole(store, "large") == BIG
    assert len(set(asked)) == 2, "the parts are sent anew"
    assert sent.unfinished() == []


def test_parts_that_could_not_be_removed_are_told(
    moto: str,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = bucket(moto)

    def fails(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://bucket")

    for name in ("upload_part", "abort_multipart_upload"):
        monkeypatch.setattr(store._client, name, fails)
    with pytest.raises(Unreachable, match="does not answer"):
        store.write("large", [BIG])
    assert "AbortIncompleteMultipartUpload" in caplog.text

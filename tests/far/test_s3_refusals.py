"""What S3 refuses is told in one line that says what is wrong and what to do, after few requests and in seconds."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from resources import s3
from resources.far import ObjectError, SourceError
from resources.lake import Lake
from resources.objects import ObjectStore
from tests.far.conftest import REGION, Bucket, FarRig, when
from tests.rig import rows, sheet
from tests.standins.s3 import BadDay

KMS = (
    "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on the resource associated with this "
    "ciphertext because the resource does not exist in this Region"
)
SSE_C = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve "
    "the object."
)


def line_of(error: SourceError) -> str:
    """The message of an error, which must be one line with a remedy."""
    text = str(error)
    assert "\n" not in text and text.count(". Remedy: ") == 1 and text.endswith("."), text
    return text


# One object


@pytest.mark.parametrize(
    ("status", "code", "message", "problem", "remedy"),
    [
        (403, "AccessDenied", "Access Denied", "access is denied (Access Denied)", "s3:GetObject"),
        (403, "AccessDenied", KMS, "its encryption key cannot be used", "kms:Decrypt"),
        (
            400,
            "KMS.DisabledException",
            "k is disabled.",
            "its encryption key cannot be used (k is disabled)",
            "enabled",
        ),
        (400, "InvalidRequest", SSE_C, "encrypted with a key that only its owner has (SSE-C)", "SSE-S3 or SSE-KMS"),
        (403, "InvalidObjectState", "not valid", "the object is archived", "aws s3api restore-object"),
        (404, "NoSuchKey", "no such key", "the object is gone since the source was listed", "run again"),
        (412, "PreconditionFailed", "no", "the object changed since the source was listed", "run again"),
        (405, "MethodNotAllowed", "not so", "refuses the request (MethodNotAllowed: not so)", "your store"),
    ],
)
def test_an_object_that_is_refused_stops_no_other(
    far_rig: FarRig, bad_day: BadDay, status: int, code: str, message: str, problem: str, remedy: str
) -> None:
    far_rig.put("a.csv", rows(10))
    far_rig.put("b.csv", rows(10, 100))
    bad_day.fail(status, code, message, key="inbox/a.csv", method="GET")
    report = far_rig.run()
    assert [item.uri for item in report.loaded] == [far_rig.uri("b.csv")]
    assert [error.uri for error in report.failed] == [far_rig.uri("a.csv")]
    text = str(report.failed[0])
    assert "\n" not in text and text.count(far_rig.uri("a.csv")) == 1 and problem in text
    assert remedy in text.partition(". Remedy: ")[2]
    assert bad_day.count("GET", "inbox/a.csv") == 1, "it was asked for again"
    bad_day.faults.clear()
    assert len(far_rig.run().loaded) == 1 and len(far_rig.table()) == 20


def test_encrypted_objects_are_read_as_any(far_rig: FarRig) -> None:
    far_rig.bucket.put("inbox/a.csv", sheet(rows(5)), ServerSideEncryption="AES256")
    far_rig.bucket.put("inbox/b.csv", sheet(rows(5, 50)), ServerSideEncryption="aws:kms", SSEKMSKeyId="key")
    assert not far_rig.run().failed and len(far_rig.table()) == 10


def test_a_head_that_is_refused_is_an_error_of_its_object(far_rig: FarRig, bad_day: BadDay) -> None:
    """Its answer has no body, so that only its status says why."""
    far_rig.put("a.csv", rows(10))
    far_rig.put("b.csv", rows(10, 100))
    bad_day.fail(403, "AccessDenied", key="inbox/a.csv", method="HEAD")
    report = far_rig.run()
    assert len(report.loaded) == 1 and "access is denied" in str(report.failed[0])
    assert not far_rig.bucket.uploads() and len(far_rig.bucket.keys("lake/")) == 1


# The whole source


@pytest.mark.parametrize(
    ("status", "code", "more", "problem", "remedy"),
    [
        (
            403,
            "InvalidAccessKeyId",
            {},
            "refuses the credentials: it does not know the access key",
            "AWS_ACCESS_KEY_ID",
        ),
        (403, "SignatureDoesNotMatch", {}, "the secret key does not belong to the access key", "AWS_SECRET_ACCESS_KEY"),
        (400, "ExpiredToken", {}, "the session token has expired", "AWS_PROFILE"),
        (
            403,
            "AccessDenied",
            {},
            "access is denied (as you asked for it)",
            "allow this user s3:ListBucket on the bucket",
        ),
        (404, "NoSuchBucket", {}, "there is no bucket", "INBOX_URL"),
        (403, "RequestTimeTooSkewed", {}, "the clock of this machine is not that of", "timedatectl"),
        (
            301,
            "PermanentRedirect",
            {"header": "us-west-2"},
            f"is in us-west-2, and {REGION} was asked",
            "AWS_REGION=us-west-2",
        ),
        (400, "AuthorizationHeaderMalformed", {"Region": "us-west-2"}, "is in us-west-2", "AWS_REGION=us-west-2"),
    ],
)
def test_a_source_that_is_refused_is_one_line_after_one_request(
    far_rig: FarRig, bad_day: BadDay, status: int, code: str, more: dict[str, str], problem: str, remedy: str
) -> None:
    far_rig.load("a.csv", rows(10))
    held = far_rig.everything()
    bad_day.reset()
    headers = {"x-amz-bucket-region": more["header"]} if "header" in more else {}
    bad_day.fail(status, code, headers=headers, **{name: text for name, text in more.items() if name != "header"})
    with pytest.raises(SourceError) as caught:
        far_rig.run()
    assert not isinstance(caught.value, ObjectError)
    text = line_of(caught.value)
    assert text.startswith(far_rig.store.location) and problem in text and remedy in text.partition("Remedy")[2]
    # boto3 looks itself for the region of a bucket, and asks there once.
    assert len(bad_day.requests) <= (4 if "region" in remedy.lower() else 1)
    assert far_rig.everything() == held and not far_rig.heard


def test_credentials_that_end_in_the_middle_stop_the_source_and_what_is_committed_stays(
    far_rig: FarRig, bad_day: BadDay
) -> None:
    for number in range(5):
        far_rig.put(f"{number}.csv", rows(10, number * 100))
    when(bad_day, "GET", "inbox/3.csv", lambda: bad_day.fail(400, "ExpiredToken"), passage=2)
    with pytest.raises(SourceError, match="the session token has expired"):
        far_rig.run()
    assert len(far_rig.table()) == 30
    bad_day.reset()
    assert not far_rig.run().failed and len(far_rig.table()) == 50


def test_overload_that_does_not_end_is_no_storm(far_rig: FarRig, bad_day: BadDay) -> None:
    for number in range(20):
        far_rig.put(f"{number}.csv", rows(2, number * 10))
    bad_day.fail(503, "SlowDown", "Please reduce your request rate.", method="GET")
    with pytest.raises(SourceError, match="overloaded or out of order"):
        far_rig.run()
    assert len(bad_day.requests) == s3.ATTEMPTS and len(far_rig.heard) == s3.ATTEMPTS - 1
    bad_day.reset()
    for number in range(20):
        bad_day.fail(503, "SlowDown", key=f"inbox/{number}.csv")
    with pytest.raises(SourceError, match="overloaded or out of order"):
        far_rig.run()
    assert len(bad_day.requests) == 1 + s3.ATTEMPTS, "the other objects were asked for too"


def test_a_bucket_that_does_not_exist(bad_day: BadDay) -> None:
    with pytest.raises(SourceError) as caught:
        ObjectStore("s3://no-such-bucket/in").list()
    assert "there is no bucket no-such-bucket at http://127.0.0.1" in line_of(caught.value)
    assert len(bad_day.requests) == 1


def test_an_endpoint_that_cannot_be_reached(aws: pytest.MonkeyPatch) -> None:
    aws.setattr(s3, "LONGEST_WAIT", 0.02)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    aws.setenv("AWS_ENDPOINT_URL", url)
    heard: list[str] = []
    with pytest.raises(SourceError) as caught:
        ObjectStore("s3://bucket/in", say=heard.append).list()
    assert f"{url} cannot be reached (no connection)" in line_of(caught.value)
    assert len(heard) == s3.ATTEMPTS - 1


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "http://", "not a url"])
def test_an_endpoint_that_is_no_url(aws: pytest.MonkeyPatch, endpoint: str) -> None:
    aws.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SourceError) as caught:
        ObjectStore("s3://bucket/in").list()
    assert repr(endpoint) in line_of(caught.value) and "http://host:port" in str(caught.value)


def test_no_credentials_at_all(bad_day: BadDay, aws: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        aws.delenv(name)
    with pytest.raises(SourceError) as caught:
        ObjectStore("s3://bucket/in").list()
    assert "there are no credentials" in line_of(caught.value) and "AWS_PROFILE" in str(caught.value)
    assert not bad_day.requests


def test_a_profile_that_does_not_exist(bad_day: BadDay, aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SourceError) as caught:
        ObjectStore("s3://bucket/in").list()
    assert "nobody" in line_of(caught.value) and "AWS_PROFILE" in str(caught.value).partition("Remedy")[2]


@pytest.mark.parametrize("url", ["s3://", "s3:///in", "s3://key:secret@bucket/in", "s3://a/in", "s3://bucket?x=1"])
def test_a_url_without_a_bucket(url: str) -> None:
    for use in (lambda: ObjectStore(url).list(), lambda: Lake(url).open("x")):
        with pytest.raises(SourceError) as caught:
            use()
        text = line_of(caught.value)
        assert "names no bucket" in text and "s3://bucket/prefix" in text and "secret" not in text


# Rights as moto enforces them


@pytest.fixture
def enforced(moto_server: tuple[str, int]) -> Iterator[Any]:
    """Makes a user with a policy, gives its keys, and from then on moto holds everybody to their rights."""
    import boto3

    url = f"http://{moto_server[0]}:{moto_server[1]}"

    def enforce_after(count: str) -> None:
        headers = {"Content-Type": "text/plain"}
        urlopen(HttpRequest(f"{url}/moto-api/reset-auth", count.encode(), headers, method="POST")).close()

    def user(name: str, policy: str) -> tuple[str, str]:
        iam = boto3.client("iam", endpoint_url=url, region_name=REGION)
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        enforce_after("0")
        return key["AccessKeyId"], key["SecretAccessKey"]

    yield user
    enforce_after("inf")


def allowing(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_rights_that_are_too_few(bucket: Bucket, bad_day: BadDay, aws: pytest.MonkeyPatch, enforced: Any) -> None:
    bucket.put("in/a.csv", b"x")
    store = ObjectStore(f"s3://{bucket.name}/in")
    key, secret = enforced("lister", allowing("s3:ListBucket"))
    aws.setenv("AWS_ACCESS_KEY_ID", key)
    aws.setenv("AWS_SECRET_ACCESS_KEY", secret)
    s3._client.cache_clear()
    [item] = store.list()
    with (
        pytest.raises(ObjectError, match=r"access is denied.*allow this user s3:GetObject"),
        store.open(item) as stream,
    ):
        stream.read()
    with pytest.raises(SourceError, match=r"access is denied.*allow this user s3:PutObject") as caught:
        store.put(Path(__file__), "b.csv")
    assert not isinstance(caught.value, ObjectError)
    aws.setenv("AWS_SECRET_ACCESS_KEY", "another")
    s3._client.cache_clear()
    with pytest.raises(SourceError, match="the secret key does not belong to the access key"):
        store.list()
    aws.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    s3._client.cache_clear()
    with pytest.raises(SourceError, match="it does not know the access key"):
        store.list()

"""S3, and stores that speak its language: listing, reading what was listed, writing whole, and its errors in words.

The client is boto3's. pyarrow's filesystem lists no ETags, opens no keys with `..` or `//` in them, completes an upload
also where it is to be given up, and says not why a request was refused; the lake is read through it (`filesystem.py`).
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar

from resources.far import ObjectError, Say, SourceError, with_retries
from resources.settings import load_settings

ATTEMPTS = 5
LONGEST_WAIT = 5.0
CONNECT_SECONDS, READ_SECONDS = 4.0, 20.0
FIRST_READ, LONGEST_READ = 1 << 20, 8 << 20
"""Bytes of one request: a reader that goes on where it was asks for twice as many each time, up to the second."""
PART = 8 << 20
"""Bytes of a part of an upload. S3 takes 10,000 parts of an object, so parts grow with their number."""

T = TypeVar("T")
Doing = Literal["list", "read", "write"]
announce: Say = logging.getLogger(__name__).warning

_PASSING = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "RequestTimeoutException"}
_PASSING |= {"Throttling", "ThrottlingException", "RequestLimitExceeded", "BandwidthLimitExceeded"}
_PASSING |= {"KMS.ThrottlingException", "OperationAborted", "500", "502", "503", "504"}
_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; `aws sts get-caller-identity` shows who you are"
)
_CREDENTIALS = {
    "InvalidAccessKeyId": "it does not know the access key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "InvalidToken": "the session token is not valid",
    "ExpiredToken": "the session token has expired",
    "TokenRefreshRequired": "the session token has expired",
    "InvalidClientTokenId": "it does not know the access key",
    "RequestExpired": "the session token has expired",
    "AuthFailure": "it does not accept the credentials",
    "NotSignedUp": "the account is not signed up for it",
    "InvalidSecurity": "it does not accept the credentials",
    "AccountProblem": "there is a problem with the account",
}
_OTHER_REGION = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "307",
}
RESTORE = "restore it with `aws s3api restore-object`, or put it there again in a class that can be read at once"
_GONE = {"NoSuchKey", "404", "NoSuchVersion"}
_ACTIONS = {"list": "s3:ListBucket", "read": "s3:GetObject and s3:ListBucket", "write": "s3:PutObject"}


@dataclass(frozen=True)
class Connection:
    """Where S3 is."""

    endpoint: str | None
    region: str | None


@dataclass(frozen=True)
class Listed:
    """One object as a listing shows it."""

    key: str
    size: int
    etag: str
    changed_ns: int
    archive: str
    """The storage class, where that must be restored before the object can be read."""


def connection() -> Connection:
    """Where the settings say that S3 is."""
    settings = load_settings()
    return Connection(settings.aws_endpoint, settings.aws_region)


def is_s3(location: str) -> bool:
    return location.startswith("s3:/") or location == "s3:"


def parse(location: str) -> tuple[str, str]:
    """Bucket and prefix of a URL; the prefix is taken literally and ends in a slash, unless it is empty.

    Raises:
        SourceError: it is no such URL.
    """
    bucket, _, prefix = location.removeprefix("s3:").removeprefix("//").rstrip("/").partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", bucket):
        shown = re.sub(r"//[^/]*@", "//...@", location)
        raise SourceError(
            f"{shown}: this names no bucket",
            "write s3://bucket/prefix; credentials and the endpoint are read from the environment, not from the URL",
        )
    return bucket, f"{prefix}/" if prefix else ""


def client() -> Any:
    """boto3's client, one for each process and connection."""
    return _client(connection(), os.getpid())


@cache
def _client(where: Connection, process: int) -> Any:
    import boto3
    from botocore.config import Config

    # Stores other than AWS often know no checksums but MD5.
    checksums = "when_supported" if where.endpoint is None else "when_required"
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=20,
        # Retries are ours, so that they are announced and counted once.
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
    )
    session = boto3.session.Session()
    try:
        return session.client("s3", endpoint_url=where.endpoint, region_name=where.region, config=config)
    except ValueError as error:
        raise SourceError(
            f"AWS_ENDPOINT_URL={where.endpoint!r}, AWS_REGION={where.region!r}: {_first_line(error)}",
            "write the endpoint as http://host:port or https://host, or leave it out for AWS",
        ) from error


def _ask(request: Callable[[Any], T], uri: str, doing: Doing, say: Say) -> T:
    """The answer to a request of the client.

    Args:
        uri: what is listed, read or written, for messages.

    Raises:
        ObjectError: this object cannot be read; others may.
        SourceError: nothing can be done here.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return with_retries(
            lambda: request(client()), f"s3: {uri}", _is_passing, say, attempts=ATTEMPTS, longest_wait=LONGEST_WAIT
        )
    except (ClientError, BotoCoreError) as error:
        raise explained(error, uri, doing) from error


def _is_passing(error: BaseException) -> bool:
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _code(error) in _PASSING or _status(error) >= 500
    if isinstance(error, exceptions.ProxyConnectionError | exceptions.SSLError):
        return False
    kinds = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)
    return isinstance(error, kinds)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def explained(error: Exception, uri: str, doing: Doing) -> SourceError:
    """An error of boto3 in words."""
    from botocore import exceptions

    where = connection().endpoint or "AWS"

    def of_object(problem: str, remedy: str) -> SourceError:
        return ObjectError(uri, problem, remedy) if doing == "read" else SourceError(f"{uri}: {problem}", remedy)

    def of_all(problem: str, remedy: str) -> SourceError:
        return SourceError(f"{uri}: {problem}", remedy)

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return of_all("there are no credentials for AWS, or only a part of them", _KEYS)
    if isinstance(error, exceptions.IncompleteReadError | exceptions.ResponseStreamingError):
        return of_object(
            f"the answer broke off in each of {ATTEMPTS} attempts", "see whether `aws s3 cp` gets it, and run again"
        )
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return of_all(
            f"{where} cannot be reached ({_why(error)})", "see to the network, AWS_ENDPOINT_URL and AWS_REGION"
        )
    if not isinstance(error, exceptions.ClientError):
        return of_all(_first_line(error), "see to the AWS settings: AWS_PROFILE, AWS_REGION and the files in ~/.aws")
    code, status, bucket = _code(error), _status(error), uri.split("/")[2]
    message = _first_line(error.response["Error"].get("Message") or error)
    headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
    if code == "NoSuchBucket":
        return of_all(
            f"there is no bucket {bucket} at {where}",
            "correct the URL (`location` in config/shops.yaml, INBOX_URL or LAKE_URL), or create the bucket",
        )
    if code in _CREDENTIALS:
        return of_all(f"{where} refuses the credentials: {_CREDENTIALS[code]}", _KEYS)
    if code == "RequestTimeTooSkewed":
        there = f", where it is {headers['date']}" if "date" in headers else ""
        return of_all(
            f"the clock of this machine is not that of {where}{there}",
            "set it, such as with `timedatectl set-ntp true`",
        )
    if code in _OTHER_REGION:
        right = error.response["Error"].get("Region") or headers.get("x-amz-bucket-region")
        return of_all(
            f"the bucket {bucket} is in {right or 'another region'}, and {client().meta.region_name} was asked",
            f"set AWS_REGION={right or 'to that of the bucket'}",
        )
    if code in _GONE:
        return of_object("the object is gone since the source was listed", "run again")
    if code in ("PreconditionFailed", "412"):
        return of_object("the object changed since the source was listed", "run again")
    if code == "InvalidObjectState":
        return of_object("the object is archived", RESTORE)
    if doing == "read" and "encryption" in message.lower() and status == 400:
        return of_object(
            "the object is encrypted with a key that only its owner has (SSE-C)",
            "have its owner put it there again with SSE-S3 or SSE-KMS",
        )
    if code.startswith("KMS.") or ("kms" in message.lower() and status in (400, 403)):
        return of_object(
            f"its encryption key cannot be used ({message})",
            "allow this user kms:Decrypt (to write, kms:GenerateDataKey) on that key, and see that it is enabled",
        )
    if status == 403:
        return of_object(f"access is denied ({message})", f"allow this user {_ACTIONS[doing]} on the bucket {bucket}")
    if _is_passing(error):
        return of_all(f"{where} is overloaded or out of order ({code}: {message})", "run again later")
    return of_object(f"{where} refuses the request ({code}: {message})", "see what that code means to your store")


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")[:300].rstrip(".")


def _why(error: Exception) -> str:
    """Why there was no answer; what boto3 says goes on with the whole URL of the request."""
    from botocore import exceptions

    if isinstance(error, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError):
        return (
            f"no answer in {CONNECT_SECONDS if isinstance(error, exceptions.ConnectTimeoutError) else READ_SECONDS:g} s"
        )
    return "no connection" if isinstance(error, exceptions.EndpointConnectionError) else _first_line(error)


def listing(location: str, say: Say = announce) -> Iterator[Listed]:
    """The objects below a location, page by page; markers of folders are left out.

    Raises:
        SourceError: it cannot be listed.
    """
    bucket, prefix = parse(location)
    more: dict[str, str] = {}
    while True:
        page = _ask(
            lambda s3, more=more: s3.list_objects_v2(  # type: ignore[misc]
                Bucket=bucket, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"], **more
            ),
            location,
            "list",
            say,
        )
        for item in page.get("Contents", []):
            if not item["Key"].endswith("/"):
                stays = item.get("StorageClass") in ("GLACIER", "DEEP_ARCHIVE")
                restored = item.get("RestoreStatus", {}).get("RestoreExpiryDate") is not None
                yield Listed(
                    item["Key"],
                    item["Size"],
                    item["ETag"],
                    int(item["LastModified"].timestamp() * 1e9),
                    item["StorageClass"] if stays and not restored else "",
                )
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def is_as_listed(bucket: str, key: str, etag: str, size: int, say: Say = announce) -> bool:
    """Whether a key still holds what a listing showed.

    Raises:
        SourceError: it cannot be asked for.
    """
    uri = f"s3://{bucket}/{key}"
    try:
        head = _ask(lambda s3: s3.head_object(Bucket=bucket, Key=key), uri, "read", say)
    except ObjectError as error:
        if _code(error.__cause__) in _GONE:
            return False
        reason(uri, say)
        raise
    return (head["ETag"], head["ContentLength"]) == (etag, size)


def reason(uri: str, say: Say = announce) -> None:
    """Raise what is wrong with an object: the answer to a HEAD has no body, and so does not say why it is refused.

    Raises:
        SourceError: it cannot be read.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    _ask(lambda s3: s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close(), uri, "read", say)


def open_object(bucket: str, key: str, etag: str, size: int, say: Say = announce) -> io.BufferedReader:
    """Open an object for reading from any place in it. Nothing is asked for before the first byte is read."""
    return io.BufferedReader(_Reader(bucket, key, etag, size, say), 1 << 16)


class _Reader(io.RawIOBase):
    """The bytes of an object in the version that was listed; errors are raised as `ObjectError` and `SourceError`."""

    def __init__(self, bucket: str, key: str, etag: str, size: int, say: Say) -> None:
        self._bucket, self._key, self._etag, self._size, self._say = bucket, key, etag, size, say
        self._at = 0
        self._start, self._window = 0, memoryview(b"")
        self._next_read = FIRST_READ

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError(f"negative place {begin + offset} in {self._key}")
        self._at = begin + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        within = self._at - self._start
        if not 0 <= within < len(self._window):
            self._fetch(wanted)
            within = 0
        taken = self._window[within : within + wanted]
        buffer[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)

    def _fetch(self, wanted: int) -> None:
        """Take the window to where reading goes on."""
        goes_on = self._at == self._start + len(self._window)
        self._next_read = min(self._next_read * 2, LONGEST_READ) if goes_on and self._at else FIRST_READ
        last = min(self._at + max(wanted, self._next_read), self._size) - 1
        begin = self._at

        def get(s3: Any) -> bytes:
            answer = s3.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={begin}-{last}", IfMatch=self._etag
            )
            body: bytes = answer["Body"].read()
            return body

        uri = f"s3://{self._bucket}/{self._key}"
        body = _ask(get, uri, "read", self._say)
        if len(body) != last - begin + 1:
            raise ObjectError(
                uri, f"{len(body):,} bytes came for the {last - begin + 1:,} that were asked for", "run again"
            )
        self._start, self._window = begin, memoryview(body)


@contextmanager
def writing(location: str, name: str, say: Say = announce) -> Iterator[Upload]:
    """Write an object in parts. It is there when the block has ended without an error, and before that not at all.

    Raises:
        SourceError: it cannot be written.
    """
    upload = Upload(location, name, say)
    try:
        yield upload
        upload.complete()
    except BaseException:
        with suppress(SourceError):  # of the two errors, the first tells more
            upload.abort()
        raise


class Upload(io.RawIOBase):
    """An object that is being written; its parts are no object before they are completed."""

    def __init__(self, location: str, name: str, say: Say = announce) -> None:
        self._bucket, prefix = parse(location)
        self._key = prefix + name
        self._say = say
        self._waiting = bytearray()
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        size = PART * (1 + len(self._parts) // 1000)
        while len(self._waiting) >= size:
            self._put_part(bytes(self._waiting[:size]))
            del self._waiting[:size]
        return len(data)

    def _call(self, request: Callable[[Any, dict[str, str]], T]) -> T:
        place = {"Bucket": self._bucket, "Key": self._key}
        return _ask(lambda s3: request(s3, place), f"s3://{self._bucket}/{self._key}", "write", self._say)

    def _put_part(self, data: bytes) -> None:
        if self._id is None:
            self._id = self._call(lambda s3, at: str(s3.create_multipart_upload(**at)["UploadId"]))
        number = len(self._parts) + 1
        done = self._call(
            lambda s3, at: s3.upload_part(**at, UploadId=self._id, PartNumber=number, Body=data)  # a part is put once
        )
        self._parts.append({"PartNumber": number, "ETag": done["ETag"]})

    def complete(self) -> None:
        """Let the object appear."""
        rest = bytes(self._waiting)
        if self._id is None:
            self._call(lambda s3, at: s3.put_object(**at, Body=rest))
            return
        if rest:
            self._put_part(rest)
        self._call(
            lambda s3, at: s3.complete_multipart_upload(**at, UploadId=self._id, MultipartUpload={"Parts": self._parts})
        )

    def abort(self) -> None:
        """Give the object up: parts are paid for until they are removed."""
        if self._id is not None:
            self._call(lambda s3, at: s3.abort_multipart_upload(**at, UploadId=self._id))

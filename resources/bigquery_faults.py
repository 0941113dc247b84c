"""What BigQuery's errors mean: which may pass, and what a person can do about the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.far import SourceError

_PASSING = ("rateLimitExceeded", "backendError", "internalError", "badGateway", "jobRateLimitExceeded")
_ROLES = {
    "bigquery.readsessions.create": "roles/bigquery.readSessionUser",
    "bigquery.jobs.create": "roles/bigquery.jobUser",
}
"""The roles on the paying project that hold a permission; what is of a dataset is in dataViewer."""
DATA_ROLE = "roles/bigquery.dataViewer"


@dataclass(frozen=True)
class Place:
    """Where a fault happened."""

    dataset: str
    """As `project.dataset`."""
    table: str | None
    payer: str
    who: str
    """The account that reads, as a person knows it."""
    location: str | None = None

    @property
    def what(self) -> str:
        return f"{self.dataset}.{self.table}" if self.table else self.dataset


def faults() -> tuple[type[Exception], ...]:
    """The classes of what the client libraries raise."""
    import concurrent.futures

    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    return GoogleAPIError, GoogleAuthError, RequestException, concurrent.futures.TimeoutError


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Raise what the client libraries raise in the block as an error that says what to do."""
    try:
        yield
    except faults() as error:
        raise explain(error, place) from error


def is_passing(error: BaseException) -> bool:
    """Whether a fault may be gone at the next attempt."""
    import requests.exceptions
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError

    if isinstance(error, exceptions.GoogleAPICallError):
        reason = _reason(error)
        if reason is not None:
            return reason in _PASSING
        return isinstance(
            error,
            (
                exceptions.TooManyRequests,
                exceptions.InternalServerError,
                exceptions.BadGateway,
                exceptions.ServiceUnavailable,
                exceptions.GatewayTimeout,
                exceptions.Unknown,
            ),
        )
    if isinstance(error, GoogleAuthError):
        return bool(error.retryable) or isinstance(error, TransportError)
    return isinstance(
        error,
        (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ),
    ) and not isinstance(error, requests.exceptions.SSLError)


def why_no_session(error: Exception) -> str:
    """Why a read session is not to be had where a query may be; empty where the error says nothing of the kind."""
    from google.api_core import exceptions

    text = _text(error)
    if isinstance(error, exceptions.MethodNotImplemented):
        return "the Storage Read API is not there"
    if isinstance(error, exceptions.Forbidden):
        if "readsessions" in text:
            return f"there is no permission bigquery.readsessions.create ({_ROLES['bigquery.readsessions.create']})"
        if _is_disabled(text):
            return "the BigQuery Storage API is not enabled"
    if isinstance(error, exceptions.BadRequest) and "cannot be read with the storage API" in text:
        return "it is no table that the Storage Read API can read"
    return ""


def is_no_table(error: Exception) -> bool:
    """Whether an error says that the dataset is there and the table is not."""
    from google.api_core import exceptions

    return isinstance(error, exceptions.NotFound) and "Not found: Table" in _text(error)


def is_over_limit(error: Exception) -> bool:
    """Whether a query was refused because it would be billed more than it may."""
    from google.api_core import exceptions

    return isinstance(error, exceptions.GoogleAPICallError) and _reason(error) == "bytesBilledLimitExceeded"


def explain(error: Exception, place: Place) -> SourceError:
    """What went wrong, and what to do about it."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, InvalidOperation, TransportError

    text = _text(error)
    if isinstance(error, exceptions.RetryError) and isinstance(error.cause, Exception):
        return explain(error.cause, place)
    if isinstance(error, InvalidOperation):  # what stands in for BigQuery asks for credentials, and there are none
        return _refused(place, text)
    if isinstance(error, DefaultCredentialsError):
        return SourceError(
            f"no Google credentials were found that can be used ({text})",
            "set GOOGLE_APPLICATION_CREDENTIALS to the key of a service account, or run: "
            "gcloud auth application-default login",
        )
    if isinstance(error, GoogleAuthError) and not (error.retryable or isinstance(error, TransportError)):
        if re.search(r"\biat\b|reasonable timeframe", text):
            return SourceError(
                f"Google refuses the credentials of {place.who}, for the clock of this machine is wrong ({text})",
                f"set the clock, which says {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, by a time server",
            )
        return _refused(place, text)
    if isinstance(error, exceptions.Unauthorized):
        return _refused(place, text)
    if isinstance(error, exceptions.NotFound):
        return _not_found(place, text)
    if isinstance(error, exceptions.Forbidden):
        return _forbidden(error, place, text)
    if isinstance(error, exceptions.TooManyRequests):
        return SourceError(
            f"BigQuery throttles project {place.payer} and did not let up ({text})",
            f"run again later, or have the quota raised: IAM & Admin, Quotas, of project {place.payer}",
        )
    if isinstance(error, exceptions.BadRequest) and re.search(r"snapshot time|SYSTEM_TIME", text):
        return SourceError(
            f"{place.what} cannot be read as it was when this run began ({text})",
            "run again: it was made anew meanwhile",
        )
    if isinstance(error, exceptions.ClientError):
        return SourceError(f"BigQuery refuses to read {place.what} ({text})", "correct what it names")
    return SourceError(
        f"BigQuery does not answer ({type(error).__name__}: {text})",
        "look whether this machine reaches it and whether https://status.cloud.google.com knows of it; run again later",
    )


def _refused(place: Place, text: str) -> SourceError:
    return SourceError(
        f"Google refuses the credentials of {place.who}: they are wrong or have expired ({text})",
        "make a new key of the service account and name it in GOOGLE_APPLICATION_CREDENTIALS, or run: "
        "gcloud auth application-default login",
    )


def _not_found(place: Place, text: str) -> SourceError:
    project, _, dataset = place.dataset.rpartition(".")
    elsewhere = re.search(r"Dataset (\S+) was not found in location (\S+)", text)
    if elsewhere is not None:
        asked = elsewhere[2].rstrip(".")
        return SourceError(
            f"the query runs in location {asked}, and dataset {elsewhere[1]} is in another one: "
            f"{place.what} is in {place.location or 'a location that BigQuery does not tell'} ({text})",
            "read from datasets of one location; a view may name none of another",
        )
    if "Not found: Project" in text:
        return SourceError(
            f"there is no project {project}, or {place.who} may not see it ({text})",
            "correct `dataset` of the source in config/shops.yaml, or BIGQUERY_PROJECT",
        )
    if "Not found: Dataset" in text:
        return SourceError(
            f"project {project} has no dataset {dataset}, or {place.who} may not see it ({text})",
            f"correct `dataset` of the source in config/shops.yaml, or grant {DATA_ROLE} on it",
        )
    return SourceError(
        f"{place.what} is not there any more, or a part of it ({text})", "run again; see whether it was made anew"
    )


def _forbidden(error: Exception, place: Place, text: str) -> SourceError:
    reason = _reason(error)
    if reason == "quotaExceeded" or re.search(r"(?i)quota exceeded|exceeded quota", text):
        return SourceError(
            f"a quota of project {place.payer} is used up, and trying again would not help ({text})",
            f"wait until it is filled again, or have it raised: IAM & Admin, Quotas, of project {place.payer}",
        )
    if _is_disabled(text):
        return SourceError(
            f"the BigQuery API is not enabled in project {place.payer} ({text})",
            f"run: gcloud services enable bigquery.googleapis.com --project {place.payer}",
        )
    if reason == "rateLimitExceeded":
        return SourceError(f"BigQuery throttles project {place.payer} and did not let up ({text})", "run again later")
    found = re.search(r"bigquery\.[a-zA-Z]+\.[a-zA-Z]+", text)
    permission = found[0] if found else "of some kind"
    if permission in _ROLES:
        return SourceError(
            f"{place.who} lacks the permission {permission} in project {place.payer}, which pays ({text})",
            f"grant {_ROLES[permission]} on project {place.payer}, or name another in BIGQUERY_PROJECT",
        )
    return SourceError(
        f"{place.who} may not read {place.what}: no permission {permission} ({text})",
        f"grant {DATA_ROLE} on {place.dataset}, and {_ROLES['bigquery.readsessions.create']} on project {place.payer}",
    )


def _is_disabled(text: str) -> bool:
    return (
        re.search(r"has not been used in project|it is disabled|SERVICE_DISABLED|accessNotConfigured", text) is not None
    )


def _reason(error: Exception) -> str | None:
    errors = getattr(error, "errors", None) or []
    first = errors[0] if errors else None
    return first.get("reason") if isinstance(first, dict) else None


def _text(error: BaseException) -> str:
    """What an error says, on one line, without the request that it was the answer to."""
    text = str(getattr(error, "message", None) or (error.args[0] if error.args else error))
    text = text.partition("\n\nLocation:")[0]
    text = re.sub(r"^\d{3} ", "", text)
    text = re.sub(r"\b(GET|POST) \S+: ", "", text)
    return " ".join(text.split()).rstrip(".")[:400]

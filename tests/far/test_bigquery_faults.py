"""On BigQuery's bad days each row comes once or a slice not at all, and what cannot pass is told in one clear line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import resources.bigquery as module
from assets.extracts.extract import Report
from resources.bigquery import BigQueryPart
from resources.far import ATTEMPTS, ReadAgain
from resources.settings import Settings, load_settings
from resources.tables import Span
from resources.warehouse import Warehouse
from tests.far import bigquery_rig
from tests.far.bigquery_rig import (
    EVENTS_NAME,
    MAY,
    USERS,
    USERS_NAME,
    daily,
    events,
    ids,
    readers,
    scanned,
    sessions,
    settings_of,
    users,
)
from tests.rig import DATASET, NAME, TableRig
from tests.standins.bigquery import (
    CREATE_JOB,
    CREATE_SESSION,
    PAYER,
    READ_DATA,
    READ_TABLE,
    BigQueryStandIn,
    Fault,
    Served,
)

stand_in, make, part = bigquery_rig.stand_in, bigquery_rig.make, bigquery_rig.part

# ---- faults ----------------------------------------------------------------------------------------------------------


def test_a_stream_that_breaks_half_way_is_gone_on_with(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig]
) -> None:
    rows = daily(44, each=100)
    stand_in.put(EVENTS_NAME, events(rows))
    stand_in.faults.append(Fault("ReadRows", "UNAVAILABLE", after_rows=500, times=3))
    rig = make()
    rig.load("events")
    assert ids(rig) == sorted(row[0] for row in rows)
    offsets = [about.offset for method, about in stand_in.requests if method == "ReadRows"]
    assert len([offset for offset in offsets if offset]) == 3 and sum(stand_in.sent_rows.values()) == len(rows)
    assert not readers()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("tables.get", "RESOURCE_EXHAUSTED", reason="rateLimitExceeded", times=2),
        Fault("tables.get", "PERMISSION_DENIED", reason="rateLimitExceeded", times=2),
        Fault("tables.get", "UNAVAILABLE", times=2),
        Fault("CreateReadSession", "RESOURCE_EXHAUSTED", times=2),
        Fault("CreateReadSession", "UNAVAILABLE", times=2),
        Fault("ReadRows", "RESOURCE_EXHAUSTED", times=2),
        Fault("ReadRows", "RESOURCE_EXHAUSTED", times=2, retry_after=0.01),
        Fault("ReadRows", "RESOURCE_EXHAUSTED", times=2, retry_after=0.01, after_rows=500),
    ],
)
def test_throttling_is_waited_for_and_said(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], fault: Fault
) -> None:
    rows = daily(30, each=100)
    stand_in.put(EVENTS_NAME, events(rows))
    stand_in.faults.append(dataclasses.replace(fault))
    rig = make()
    rig.load("events")
    assert ids(rig) == [row[0] for row in rows]
    if not fault.after_rows:
        assert len([line for line in rig.said if f"of {ATTEMPTS} in " in line]) == 2


def test_throttling_that_does_not_end_is_given_up(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    """Though BigQuery asks to come back, which the client alone would do for ever."""
    stand_in.put(EVENTS_NAME, events(daily(3)))
    stand_in.faults.append(Fault("ReadRows", "RESOURCE_EXHAUSTED", "too many reads", times=1000, retry_after=0.01))
    rig = make()
    message = rig.refusal("events")
    assert f"BigQuery throttles project {PAYER} and did not let up" in message and "too many reads" in message
    assert stand_in.calls["ReadRows"] == ATTEMPTS and not readers()


REJECTED = [(7, MAY, "bad\x00text"), (8, None, "undated"), (9, None, "bad\x00text")]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("ReadRows", "FAILED_PRECONDITION", "session expired at 2024-06-15T12:00:00+00:00", after_rows=500),
        Fault("ReadRows", "NOT_FOUND", "session not found", after_rows=500),
        Fault("ReadRows", "INTERNAL", "it went wrong", after_rows=500, times=2),
        Fault("ReadRows", "FAILED_PRECONDITION", "session expired at 2024-06-15T12:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("served", [{}, {"partitioned_by": "at"}])
def test_a_session_that_expires_is_read_anew(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], fault: Fault, served: dict[str, Any]
) -> None:
    rows = [*daily(44, each=60), *REJECTED]
    stand_in.put(EVENTS_NAME, Served(events(rows), **served))
    rig = make()
    untroubled = rig.load("events")
    rig.clear()
    stand_in.faults.append(dataclasses.replace(fault))
    stand_in.calls.clear()
    report = rig.load("events")
    assert report.data_version == untroubled.data_version and len(rig.rejects("events")) == 2
    assert [line for line in rig.said if "reading the slice anew, attempt 2 of 3" in line] and not readers()
    assert ids(rig) == sorted(row[0] for row in rows if "\x00" not in row[2])


def test_a_session_that_always_expires_is_given_up(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    rows = daily(200, MAY - timedelta(days=160), each=60)
    stand_in.put(EVENTS_NAME, Served(events(rows), partitioned_by="at"))
    rig = make()
    stand_in.faults.append(Fault("ReadRows", "FAILED_PRECONDITION", "session expired", after_rows=500, times=1000))
    message = rig.refusal("events")
    assert "reading it ended before its rows did, 3 times" in message and "session expired" in message
    assert len(sessions(stand_in)) == 3 and not readers()


def test_a_stream_that_falls_silent_is_not_waited_for_for_ever(
    stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = part(events(daily(20, each=200)))
    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)
    stand_in.faults.append(Fault("ReadRows", "OK", after_rows=500, hangs=3))
    with pytest.raises(ReadAgain, match="nothing arrived"):
        scanned(made, Span())
    assert not readers()


def test_a_reader_who_stops_leaves_no_thread_and_little_is_read(
    stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded by batches: a table of 60 MB is not fetched for one who takes a batch."""
    monkeypatch.setattr(module, "BATCH_BYTES", 1 << 20)
    size = 60_000
    table = pa.table({"id": pa.array(range(size), pa.int64()), "note": pa.array(["x" * 1000] * size)})
    batches = part(table, "users", users=USERS).scan(None, None, Span())
    next(batches)
    batches.close()
    assert not readers() and 0 < sum(stand_in.sent_rows.values()) < size / 2


# ---- bad input -------------------------------------------------------------------------------------------------------


def one_line(message: str, *parts: str) -> None:
    assert "\n" not in message and " file " not in message, message
    for text in parts:
        assert text in message, message


@pytest.mark.parametrize(
    ("denied", "parts"),
    [
        ({READ_TABLE}, (f"may not read {EVENTS_NAME}: no permission {READ_TABLE}", "roles/bigquery.dataViewer")),
        ({READ_DATA}, (f"may not read {EVENTS_NAME}: no permission {READ_DATA}", "roles/bigquery.dataViewer",
                       f"roles/bigquery.readSessionUser on project {PAYER}")),
        ({CREATE_SESSION, CREATE_JOB}, (f"lacks the permission {CREATE_JOB} in project {PAYER}", "BIGQUERY_PROJECT",
                                        "roles/bigquery.jobUser")),
    ],
)  # fmt: skip
def test_a_table_without_permission(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], denied: set[str], parts: tuple[str, ...]
) -> None:
    stand_in.put(EVENTS_NAME, events(daily(3)))
    stand_in.denied |= denied
    one_line(make().refusal("events"), *parts)
    assert max(stand_in.calls.values()) <= 1, "it was tried again"


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        (Fault("tables.get", "UNAUTHENTICATED", "Request had invalid authentication credentials.", "authError"),
         ("Google refuses the credentials of the account", "GOOGLE_APPLICATION_CREDENTIALS")),
        (Fault("CreateReadSession", "UNAUTHENTICATED", "invalid authentication credentials"),
         ("Google refuses the credentials", "gcloud auth application-default login")),
        (Fault("tables.get", "PERMISSION_DENIED", "Quota exceeded: Your project exceeded quota for tables.get per day",
               "quotaExceeded"), (f"a quota of project {PAYER} is used up", "tables.get per day", "Quotas")),
        (Fault("CreateReadSession", "PERMISSION_DENIED", "Quota exceeded: read bytes per month"),
         (f"a quota of project {PAYER} is used up", "trying again would not help")),
        (Fault("tables.get", "PERMISSION_DENIED", "BigQuery API has not been used in project 7 before",
               "accessNotConfigured"),
         (f"the BigQuery API is not enabled in project {PAYER}", "gcloud services enable bigquery.googleapis.com")),
        (Fault("tables.get", "INVALID_ARGUMENT", "Invalid table ID", "invalid"),
         ("BigQuery refuses to read project.tables.events", "Invalid table ID")),
    ],
)  # fmt: skip
def test_what_cannot_pass_is_not_tried_again(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], fault: Fault, parts: tuple[str, ...]
) -> None:
    stand_in.put(EVENTS_NAME, events(daily(3)))
    stand_in.faults.append(dataclasses.replace(fault, times=1000))
    one_line(make().refusal("events"), *parts)
    assert stand_in.calls[fault.method] == 1


def test_a_dataset_in_another_location(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    stand_in.put(EVENTS_NAME, Served(events(daily(3)), kind="VIEW", location="EU"))
    message = "Not found: Dataset other:sales was not found in location EU"
    stand_in.faults.append(Fault("jobs.insert", "NOT_FOUND", message, "notFound", times=1000))
    found = make().refusal("events")
    one_line(found, "the query runs in location EU, and dataset other:sales is in another one", "events is in EU")
    assert stand_in.calls["jobs.insert"] == 1


def test_what_is_not_there(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.run("users")
    held = rig.content("users")
    del stand_in.tables[USERS_NAME]
    stand_in.put(EVENTS_NAME, events(daily(3)))
    report = rig.run("users")
    assert not report.failed and rig.content("users") == held, "what was loaded stays"
    assert f"bigquery://{USERS_NAME}: not there, so nothing is read" in rig.said
    stand_in.tables.clear()
    stand_in.put("project.others.users", users({1: "Ann"}))
    one_line(rig.refusal("users"), "project project has no dataset tables", "`dataset` of the source")
    stand_in.tables.clear()
    one_line(rig.refusal("users"), "there is no project project", "config/shops.yaml, or BIGQUERY_PROJECT")


def test_a_project_that_may_not_pay(stand_in: BigQueryStandIn, make: Callable[..., TableRig], tmp_path: Path) -> None:
    message = make(settings_of(stand_in, tmp_path, bigquery_project="other")).refusal("users")
    one_line(message, f"lacks the permission {CREATE_JOB} in project other, which pays")
    message = make(settings_of(stand_in, tmp_path, bigquery_project=None)).refusal("users")
    one_line(message, "no project is named that pays", "set BIGQUERY_PROJECT")


def key_file(folder: Path, token_uri: str) -> Path:
    """The key of a service account, as Google writes it, with a private key made for the test."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    path = folder / "key.json"
    account = {"type": "service_account", "client_email": "reader@paying-project.iam", "private_key": text}
    path.write_text(json.dumps(account | {"token_uri": token_uri, "project_id": PAYER, "private_key_id": "1"}))
    return path


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("Invalid JWT Signature.", ("refuses the credentials of reader@paying-project.iam: they are wrong",
                                    "make a new key")),
        ("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat "
         "and exp values in the JWT claim.", ("the clock of this machine is wrong", "by a time server")),
    ],
)  # fmt: skip
def test_credentials_that_google_refuses(
    stand_in: BigQueryStandIn,
    make: Callable[..., TableRig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    parts: tuple[str, ...],
) -> None:
    stand_in.token_error = {"error": "invalid_grant", "error_description": answer}
    path = key_file(tmp_path, f"{stand_in.endpoint}/token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    settings = settings_of(stand_in, tmp_path, bigquery_endpoint=None, bigquery_storage_endpoint=None)
    one_line(make(settings).refusal("users"), *parts)
    assert stand_in.calls["token"] == 1


def test_no_credentials(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(stand_in, tmp_path, bigquery_endpoint=None, bigquery_storage_endpoint=None)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    message = make(settings).refusal("users")
    assert "no Google credentials were found that can be used" in message and "missing.json" in message
    (tmp_path / "missing.json").write_text('{"type": "service_account"}')
    assert "no Google credentials were found that can be used" in make(settings).refusal("users")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    message = make(settings).refusal("users")
    one_line(message, "no Google credentials were found", "gcloud auth application-default login")


# ---- the stand-in itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "where", "message"),
    [
        ([], "`other` IS NULL", "Unrecognized name: other"),
        (["other"], "", "Unrecognized name: other"),
        ([], "`at` >= DATETIME '2024-01-01 00:00:00'", "No matching signature for operator"),
        ([], "`at` >= TIMESTAMP '2024-01-01 25'", "Invalid TIMESTAMP literal"),
        ([], "`at` >=", "Syntax error"),
        ([], "`at` >= 'now", "Syntax error"),
    ],
)
def test_the_stand_in_refuses_what_bigquery_refuses(
    part: Callable[..., BigQueryPart], columns: list[str], where: str, message: str
) -> None:
    made = part(events(daily(3)))
    with pytest.raises(Exception, match=message):
        made._session(columns, where)


def test_the_stand_in_serves_folders(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], warehouse: Warehouse, tmp_path: Path
) -> None:
    """As `cartograph simulate` writes them, and as they are after they changed."""
    near = TableRig(warehouse, tmp_path, {"users": USERS})
    near.put("users", users({1: "Ann", 2: "Bob"}))
    with BigQueryStandIn({DATASET: near.inbox}) as served:
        variables = served.environment()
        fields = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
        settings = load_settings(_env_file=None, **{fields[name]: value for name, value in variables.items()})
        rig = make(settings)
        report: Report = rig.load("users")
        assert len(ids(rig, "users")) == 2 and report.bytes_billed is not None
        near.put("users", users({3: "Cid"}), "more.parquet")
        rig.load("users")
        assert ids(rig, "users") == [1, 2, 3] and rig.query(f"select count(*) from raw_{NAME}.users") == [(3,)]

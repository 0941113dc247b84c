"""`POST /events`: what is accepted is stored once and as it was sent, what is refused leaves nothing behind."""

from __future__ import annotations

import http.client
import json
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from resources.warehouse import Warehouse
from serving.api.event_writer import ConflictError, EventRow, Stored, decide
from serving.api.middleware import MAX_BODY
from tests.serving.rig import Api, Client, event, stored

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_events_are_stored_as_they_were_sent(client: Client, home_warehouse: Warehouse) -> None:
    now = datetime.now(UTC).replace(microsecond=123456)
    sent = [
        event("as-1", occurred_at=(now - timedelta(days=6)).isoformat(), session_id="s"),
        event(
            "as-2", event_type="cart", occurred_at=now.isoformat().replace("+00:00", "Z"), product_id="ключ 'x' {,}\\"
        ),
        event("as-3", event_type="purchase", customer_id="c", visitor_id=None, occurred_at=now.isoformat()),
        event("as-4", customer_id="c", occurred_at=f"{now:%Y-%m-%d}T00:00:00+01:30"),
    ]
    answer = client.send(sent)
    assert (answer.status, answer.json) == (200, {"accepted": 4, "duplicates": 0})
    names = ("event_id", "event_type", "customer_id", "visitor_id", "session_id", "product_id")
    assert [row[1:7] for row in stored(home_warehouse, "as-")] == [
        tuple(item.get(name) for name in names) for item in sent
    ]
    assert [row[7] for row in stored(home_warehouse, "as-")] == [
        datetime.fromisoformat(item["occurred_at"]) for item in sent
    ]


def test_the_same_event_again_counts_once(client: Client, home_warehouse: Warehouse) -> None:
    first = [event("again-1"), event("again-2")]
    assert client.send(first).json == {"accepted": 2, "duplicates": 0}
    instant = datetime.fromisoformat(first[0]["occurred_at"])
    written_otherwise = first[0] | {"occurred_at": (instant + timedelta(0)).astimezone().isoformat()}
    assert client.send([written_otherwise, first[1], event("again-3")]).json == {"accepted": 1, "duplicates": 2}
    twice = event("again-4")
    assert client.send([twice, twice]).json == {"accepted": 1, "duplicates": 1}
    assert [row[1] for row in stored(home_warehouse, "again-")] == ["again-1", "again-2", "again-3", "again-4"]
    assert client.send(first, shop="olist").json == {"accepted": 2, "duplicates": 0}, "ids are a shop's own"


@pytest.mark.parametrize(
    "change",
    [
        {"event_type": "cart"},
        {"product_id": "p2"},
        {"customer_id": "c"},
        {"visitor_id": "v2"},
        {"session_id": "s"},
        {"occurred_at": "2026-01-01T00:00:00.000001Z"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_id_with_other_content_is_refused_whole(
    client: Client, home_warehouse: Warehouse, change: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if "occurred_at" in change:
        change = {"occurred_at": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}
    name = f"conflict-{next(iter(change))}"
    assert client.send([event(name)]).status == 200
    answer = client.send([event(f"{name}-new"), event(name, **change)])
    assert (
        answer.status == 409 and repr(name) in answer.detail and "nothing of this request was stored" in answer.detail
    )
    assert [row[1] for row in stored(home_warehouse, name)] == [name]
    answer = client.send([event(f"{name}-x"), event(f"{name}-x", product_id="p9")])
    assert answer.status == 409 and len(stored(home_warehouse, f"{name}-x")) == 0


def good(**values: Any) -> list[dict[str, Any]]:
    """Eighteen good events and one that is changed, the 18th."""
    return [event(f"bad-{number}") for number in range(17)] + [event("bad-17", **values), event("bad-18")]


def ago(**values: float) -> str:
    return (datetime.now(UTC) - timedelta(**values)).isoformat()


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"event_type": "transaction"}, "event_type", "Input should be 'view', 'cart' or 'purchase'"),
        ({"occurred_at": "2026-03-01T10:00:00"}, "occurred_at", "write an instant with its zone"),
        ({"occurred_at": 1767225600}, "occurred_at", "write an instant with its zone"),
        ({"occurred_at": "1767225600"}, "occurred_at", "write an instant with its zone"),
        ({"occurred_at": "2026-02-30T10:00:00Z"}, "occurred_at", "day value is outside expected range"),
        ({"occurred_at": "2026-02-03T10:00:00+99:99"}, "occurred_at", "valid datetime"),
        ({"occurred_at": timedelta(days=1)}, "occurred_at", "more than 5 minutes ahead of the server's clock"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at", "more than 5 minutes ahead"),
        ({"occurred_at": timedelta(days=-8)}, "occurred_at", "more than 7 days behind the server's clock"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at", "more than 7 days behind"),
        ({"product_id": 22423}, "product_id", "Input should be a valid string"),
        ({"product_id": None}, "product_id", "Input should be a valid string"),
        ({"product_id": "p\x00"}, "product_id", "String should match pattern"),
        ({"product_id": "p" * 129}, "product_id", "at most 128 characters"),
        ({"event_id": ""}, "event_id", "at least 1 char"),
        ({"session_id": "\ud800"}, "session_id", "valid string"),
        ({"visitor_id": None}, None, "customer_id or visitor_id must be given"),
        ({"price": 3}, "price", "Extra inputs are not permitted"),
    ],
    ids=lambda value: str(value)[:40].encode("ascii", "replace").decode() if isinstance(value, dict) else "",
)
def test_a_bad_event_is_named_and_nothing_is_stored(
    client: Client, home_warehouse: Warehouse, changes: dict[str, Any], place: str | None, message: str
) -> None:
    # A span is counted from now, and not from when the tests were collected, which differs between test processes.
    spans = {name: ago(days=-value.days) for name, value in changes.items() if isinstance(value, timedelta)}
    answer = client.send(good(**changes | spans))
    assert answer.status == 422
    (problem,) = answer.detail
    assert problem["loc"] == ["body", "events", 17, *([place] if place else [])]
    assert message in problem["msg"]
    assert stored(home_warehouse, "bad-") == []


def test_the_bounds_of_time_are_where_they_are_said_to_be(client: Client) -> None:
    for place, (status, when) in enumerate(
        [(200, {"minutes": -4.9}), (422, {"minutes": -5.1}), (200, {"days": 6.999}), (422, {"days": 7.001})]
    ):
        assert client.send([event(f"edge-{place}", occurred_at=ago(**when))]).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"shop": "thelook"}', 422),
        (b'{"shop": "thelook", "events": []}', 422),
        (b'{"shop": "thelook", "events": {"event_id": "x"}}', 422),
        (b'{"shop": ["thelook"], "events": [{}]}', 422),
        (b'{"shop": "thelook", "events": [' + b"[" * 60_000, 400),
        (b'{"shop": "thelook", "events": ' + b"9" * 60_000 + b"}", 400),
        (b'{"shop": "thelook", "events": [NaN]}', 422),
        (b"\xff\xfe{}", 422),
        (b'{"shop": "\xff"}', 400),
        (b'{"shop": "thelook", "events": [' + b"{}," * 400_000 + b"{}]}", 422),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else "",
)
def test_a_body_that_is_no_request(client: Client, body: bytes, status: int) -> None:
    answer = client.ask("POST", "/events", body)
    assert answer.status == status, answer.content[:300]
    assert len(answer.content) < 5_000
    assert client.get("/health").status == 200


def test_an_unknown_shop_is_told_the_shops(client: Client) -> None:
    answer = client.send([event("x")], shop="thelok")
    assert answer.status == 404
    assert answer.detail == (
        "no shop is named 'thelok'; did you mean 'thelook'? "
        "There are: online_retail, thelook, retailrocket, olist, anime."
    )
    answer = client.ask("POST", "/events", {"events": [event("x")]})
    assert answer.status == 422 and answer.detail[0]["loc"] == ["body", "shop"]
    assert "or set CARTOGRAPH_DEFAULT_SHOP" in answer.detail[0]["msg"]


def test_at_most_a_thousand_events(client: Client, home_warehouse: Warehouse) -> None:
    many = [event(f"many-{number}") for number in range(1001)]
    answer = client.send(many)
    assert answer.status == 422 and answer.detail[0]["loc"] == ["body", "events"]
    assert stored(home_warehouse, "many-") == []
    longest = [
        event(f"many-{number:0123}", **dict.fromkeys(("customer_id", "session_id"), "\x7f" * 128))
        for number in range(1000)
    ]
    assert client.send(longest).json == {"accepted": 1000, "duplicates": 0}
    assert client.send(longest).json == {"accepted": 0, "duplicates": 1000}
    # In JSON each of these characters may be written with twelve.
    names = ("customer_id", "visitor_id", "session_id", "product_id")
    escaped = [
        event(f"many-{number:03}" + "\U0001f642" * 120, **dict.fromkeys(names, "\U0001f642" * 128))
        for number in range(1000)
    ]
    assert len(json.dumps({"events": escaped})) > 7_000_000
    assert client.send(escaped).json == {"accepted": 1000, "duplicates": 0}


UNKNOWN = {f"k{number}": 1 for number in range(150_000)}
"""Of a body of two million bytes."""


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/recommendations", {"shop": "thelook", **UNKNOWN}, ["body", "k0"]),
        ("/events", {"shop": "thelook", "events": [], **UNKNOWN}, ["body", "k0"]),
        ("/events", {"shop": "thelook", "events": [event("unknown") | UNKNOWN]}, ["body", "events", 0, "k0"]),
        ("/events", {"shop": "thelook", "events": [1] * 1_000_000}, ["body", "events"]),
        ("/recommendations", {"shop": "thelook", "session": [1] * 1_000_000}, ["body", "session"]),
    ],
    ids=["question", "request", "event", "events", "session"],
)
def test_a_body_full_of_faults_costs_little(client: Client, path: str, body: dict[str, Any], place: list[Any]) -> None:
    """Not one error for each fault is made, of which 20 are told: a few, however many faults there are."""
    answer = client.ask("POST", path, body)
    assert answer.status == 422
    assert place in [problem["loc"] for problem in answer.detail]
    # "and N more" is said of the errors that were made.
    assert all(int(more["msg"].split()[1]) < 10 for more in answer.detail if more["type"] == "more")


def test_a_million_events_are_refused_unparsed(client: Client, api: Api, home_warehouse: Warehouse) -> None:
    one = json.dumps(event("million")).encode()
    body = b'{"shop": "thelook", "events": [' + b",".join([one] * 1_000_000) + b"]}"
    answer = client.ask("POST", "/events", body)
    assert answer.status == 413 and f"more than {MAX_BODY:,} bytes" in answer.detail
    assert stored(home_warehouse, "million") == []
    # Without its length being said, it is refused while it is read.
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=60)
    parts = iter([body[:MAX_BODY], body[MAX_BODY : MAX_BODY + 10]])
    connection.request("POST", "/events", parts, {"Content-Type": "application/json"}, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413 and b"more than" in response.read()
    connection.close()


def test_the_same_ids_over_two_connections_at_once(api: Api, home_warehouse: Warehouse) -> None:
    """Of each id one content wins; who sent it hears 200, who sent another 409, whatever the order."""
    rounds, senders = 40, 4
    answers: dict[tuple[int, int], int] = {}
    barrier = threading.Barrier(senders)
    instant = datetime.now(UTC).isoformat()

    def send(sender: int) -> None:
        client = api.client()
        for number in range(rounds):
            # Senders 0 and 1 agree, and so do 2 and 3.
            events = [event(f"race-{number}", product_id=f"p{sender // 2}", occurred_at=instant)]
            barrier.wait()
            answers[number, sender] = client.send(events).status

    threads = [threading.Thread(target=send, args=[sender]) for sender in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = {row[1]: row[6] for row in stored(home_warehouse, "race-")}
    assert len(winners) == rounds
    for (number, sender), status in answers.items():
        assert status == (200 if winners[f"race-{number}"] == f"p{sender // 2}" else 409)


def events_of(body: dict[str, Any]) -> list[Any]:
    events = body.get("events")
    return events if isinstance(events, list) else []


def test_random_damage_is_never_a_fault_of_the_server(client: Client, home_warehouse: Warehouse) -> None:
    """Bodies with random values in random places: 200 or a refusal, and stored is what was accepted."""
    chance = random.Random(5)
    strange: list[Any] = [
        *(None, True, 0, -1, 1.5, 10**30, float("inf"), "", " ", "\x00", "\ud83d", "🙂" * 70, "x" * 5000, [], [[]], {}),
        *({"a": 1}, "view", "2026-01-01", "0000-00-00T00:00:00Z", "2026-13-45T99:99:99+00:00", ["view"], "thelook"),
    ]
    accepted, before = 0, len(stored(home_warehouse))
    statuses = set()
    for number in range(250):
        body: dict[str, Any] = {
            "shop": "thelook",
            "events": [event(f"fuzz-{number}-{index}") for index in range(chance.randint(1, 3))],
        }
        for _ in range(chance.randint(0, 2)):
            target = chance.choice([body, *(item for item in events_of(body) if isinstance(item, dict))])
            name = chance.choice([*target, "extra"])
            if chance.random() < 0.3:
                target.pop(name, None)
            else:
                target[name] = chance.choice(strange)
        raw = json.dumps(body).encode()
        if chance.random() < 0.2:
            cut = bytearray(raw)
            cut[chance.randrange(len(cut))] = chance.randrange(256)
            raw = bytes(cut)
        answer = client.ask("POST", "/events", raw)
        statuses.add(answer.status)
        assert answer.status in (200, 400, 404, 409, 422), (raw, answer)
        if answer.status == 200:
            accepted += answer.json["accepted"]
        else:
            assert answer.detail
    assert {200, 422} <= statuses
    assert len(stored(home_warehouse)) - before == accepted


def row(event_id: str, **values: Any) -> EventRow:
    return EventRow("shop", event_id, "view", None, "v", None, "p", NOW)._replace(**values)


def test_requests_of_one_transaction_see_each_other() -> None:
    outcomes, new = decide(
        [
            [row("a"), row("b")],
            [row("b"), row("c"), row("c")],
            [row("d"), row("a", product_id="other")],
            [row("d", product_id="not taken by the refused one")],
            [row("e"), row("old")],
            [row("f"), row("old", session_id="s")],
        ],
        {("shop", "old"): row("old")},
    )
    assert [str(outcome) if isinstance(outcome, ConflictError) else outcome for outcome in outcomes] == [
        Stored(2, 0),
        Stored(1, 2),
        "a",
        Stored(1, 0),
        Stored(1, 1),
        "old",
    ]
    assert [item.event_id for item in new] == ["a", "b", "c", "d", "e"]

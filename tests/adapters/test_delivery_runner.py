"""Deliveries: signed so that a subscriber with any of the two schemes can verify them."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.runners.delivery import DeliveryRunner
from taskyard.domain.runs import Cause, DeliveryRun, NetworkPolicy, Verdict
from tests.adapters.conftest import Lines
from tests.adapters.receiver import Receiver, answer

pytestmark = pytest.mark.anyio

SECRET = "c2VjcmV0-not-base64!"


def a_delivery(target: str, /, **changes: Any) -> DeliveryRun:
    run = DeliveryRun(
        url=target,
        secret=SECRET,
        delivery_id=UUID(int=1),
        subscription_id=UUID(int=2),
        event_type="execution.succeeded",
        event_time=datetime(2024, 5, 17, tzinfo=UTC),
        payload={"event": "execution.succeeded", "data": {"name": "ü", "n": 1.5, "none": None}},
        timeout_seconds=10,
        network=NetworkPolicy(allow_private=True),
    )
    return replace(run, **changes)


async def test_a_delivery_is_compact_signed_json(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    run = a_delivery(target.url("/sub"))
    outcome = await DeliveryRunner(clients).run(run, lines)
    (received,) = target.requests
    assert (outcome.verdict, outcome.response_code) == (Verdict.SUCCEEDED, 200)
    assert received.method == "POST"
    assert json.loads(received.body) == run.payload
    assert b": " not in received.body
    assert b", " not in received.body
    headers = received.headers
    assert headers["content-type"] == "application/json"
    assert headers["x-delivery-id"] == headers["webhook-id"] == str(run.delivery_id)
    assert headers["x-event-type"] == "execution.succeeded"
    expected = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    assert headers["x-signature-256"] == f"sha256={expected}"
    assert Webhook(SECRET.encode()).verify(received.body, headers) == run.payload
    assert SECRET not in f"{outcome}{lines.text}"


async def test_the_signature_follows_the_specification(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    moment = datetime(2024, 5, 17, 12, 0, 7, 900_000, tzinfo=UTC)
    await DeliveryRunner(clients, lambda: moment).run(a_delivery(target.url()), lines)
    (received,) = target.requests
    assert received.headers["webhook-timestamp"] == "1715947207"
    signed = b"00000000-0000-0000-0000-000000000001.1715947207." + received.body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert received.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


async def test_a_whsec_secret_is_the_specification_s_own(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    run = a_delivery(target.url(), secret=secret)
    await DeliveryRunner(clients).run(run, lines)
    (received,) = target.requests
    assert Webhook(secret).verify(received.body, received.headers) == run.payload
    expected = hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["x-signature-256"] == f"sha256={expected}"


async def test_a_whsec_secret_that_is_no_base64_is_used_as_it_is(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    secret = "whsec_" + "a"
    run = a_delivery(target.url(), secret=secret)
    await DeliveryRunner(clients).run(run, lines)
    (received,) = target.requests
    assert Webhook(secret.encode()).verify(received.body, received.headers) == run.payload


async def test_every_try_has_the_same_id_and_its_own_time(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    moments = iter([datetime(2024, 5, 17, 12, 0, 0, tzinfo=UTC), datetime(2024, 5, 17, 12, 1, 0, tzinfo=UTC)])
    runner = DeliveryRunner(clients, lambda: next(moments))
    for _ in range(2):
        await runner.run(a_delivery(target.url()), lines)
    first, second = (received.headers for received in target.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert first["x-signature-256"] == second["x-signature-256"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 302])
async def test_other_statuses_fail(clients: HttpClients, target: Receiver, lines: Lines, status: int) -> None:
    url = target.on("/", answer(status, b"", (("Retry-After", "9"),)))
    outcome = await DeliveryRunner(clients).run(a_delivery(url), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.STATUS)
    assert (outcome.response_code, outcome.retry_after) == (status, 9.0)
    assert len(target.requests) == 1


async def test_only_4_kb_of_the_answer_are_kept(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    outcome = await DeliveryRunner(clients).run(a_delivery(target.on("/", answer(200, b"a" * 9000))), lines)
    (call,) = outcome.result["calls"]
    assert len(call["body"]) == 4096
    assert call["body_truncated"] is True


async def test_private_subscribers_are_blocked_by_policy(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    run = a_delivery(target.url(), network=NetworkPolicy(allow_private=False))
    outcome = await DeliveryRunner(clients).run(run, lines)
    assert outcome.cause is Cause.BLOCKED
    assert target.connections == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"secret": ""}, "the subscription has no secret"),
        ({"payload": {"a": object()}}, "payload is not JSON"),
        ({"payload": {"a": float("nan")}}, "payload is not JSON"),
        ({"url": "ftp://h/"}, "url must start with http:// or https://"),
        ({"event_type": "a\r\nX: y"}, "headers: a value must be one line of text without control characters"),
    ],
)
async def test_what_cannot_be_delivered(
    clients: HttpClients, target: Receiver, lines: Lines, changes: dict[str, Any], sentence: str
) -> None:
    outcome = await DeliveryRunner(clients).run(a_delivery(target.url(), **changes), lines)
    assert (outcome.cause, outcome.error) == (Cause.NOT_RUNNABLE, sentence)
    assert target.connections == 0

"""Delivers one event to one subscriber, signed twice: our documented header and Standard Webhooks' three.

`X-Signature-256` is the HMAC of the raw body with the secret as it is written. The Standard Webhooks signature uses
the same key bytes, except for a secret of the form `whsec_<base64>`, whose key that specification defines as the
decoded base64 (https://www.standardwebhooks.com).
"""

import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.exchange import exchange, outcome_of, report
from taskyard.adapters.http.request import Request, build_request
from taskyard.domain.errors import Invalid
from taskyard.domain.runs import Cause, DeliveryRun, Outcome, Output, Stream

MAX_KEPT_BYTES = 4 * 1024
WHSEC = "whsec_"


def _now() -> datetime:
    return datetime.now(UTC)


def _standard_signer(secret: str) -> Webhook:
    if secret.startswith(WHSEC):
        try:
            return Webhook(secret)
        except (binascii.Error, ValueError):
            pass
    # Bytes, because the library base64-decodes strings.
    return Webhook(secret.encode())


def signed_headers(run: DeliveryRun, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that say what is delivered and prove by whom; `now` is the time of this try, aware UTC.

    Raises Invalid when the subscription has no secret.
    """
    if not run.secret:
        raise Invalid("the subscription has no secret", field="secret")
    ident = str(run.delivery_id)
    digest = hmac.new(run.secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-Signature-256": f"sha256={digest}",
        "X-Delivery-ID": ident,
        "X-Event-Type": run.event_type,
        "webhook-id": ident,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": _standard_signer(run.secret).sign(ident, now, body.decode()),
    }


def _prepare(run: DeliveryRun, now: datetime) -> Request:
    try:
        body = json.dumps(dict(run.payload), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Invalid("payload is not JSON", field="payload") from error
    return build_request(run.url, "POST", signed_headers(run, body, now), {}, body)


class DeliveryRunner:
    """POSTs the payload; 2xx is success, and 410 (Gone) is a failure whose `response_code` the caller acts on.

    `clock` gives the aware UTC time of each try.
    """

    def __init__(self, clients: HttpClients, clock: Callable[[], datetime] = _now) -> None:
        self._clients = clients
        self._clock = clock

    async def run(self, run: DeliveryRun, output: Output) -> Outcome:
        """Make one try."""
        try:
            request = _prepare(run, self._clock())
        except Invalid as error:
            await output.write(Stream.STDERR, f"{error.message}\n".encode(errors="replace"))
            return Outcome.failed(Cause.NOT_RUNNABLE, error.message)
        done = await exchange(
            self._clients.client(run.network),
            request,
            timeout_seconds=run.timeout_seconds,
            keep_bytes=MAX_KEPT_BYTES,
        )
        await report(output, request, done)
        return outcome_of([done], delivery_id=str(run.delivery_id))

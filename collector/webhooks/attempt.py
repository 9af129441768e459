"""One attempt at one delivery: signed now, sent, and judged."""

from dataclasses import dataclass

from collector.model.clock import Clock
from collector.webhooks.client import Client, NoAnswer
from collector.webhooks.deliveries import Attempt
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.retries import Outcome, outcome_of, parse_retry_after
from collector.webhooks.signing import signed_headers


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it: the entry for the log, what it means, and the seconds that the receiver asked for."""

    log: Attempt
    outcome: Outcome
    retry_after: float | None


async def attempt(client: Client, clock: Clock, endpoint: Endpoint, event_id: str, body: bytes) -> Made:
    """Send `body` once. Never raises for what a receiver or the network does."""
    began, began_at = clock.monotonic(), clock.time_ns()
    status, response, retry_after = 0, "", None
    outcome = Outcome.FAILED
    try:
        headers = signed_headers(event_id, began_at, body, endpoint.secrets)
        answer = await client.post(endpoint, headers, body)
    except (NoAnswer, ValueError) as failure:
        error = str(failure)
    else:
        status, response = answer.status, answer.excerpt
        outcome, error = outcome_of(status), _sentence(endpoint, status)
        retry_after = parse_retry_after(answer.retry_after, clock.time_ns())
    duration = int((clock.monotonic() - began) * 1e9)
    return Made(Attempt(began_at, duration, outcome.value, status, error, response), outcome, retry_after)


def _sentence(endpoint: Endpoint, status: int) -> str:
    """What is wrong with a status; "" when nothing is."""
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"{endpoint.address} answered {status}: webhooks follow no redirect; configure the address it moved to."
    if status == 410:
        return f"{endpoint.address} answered 410 Gone: it wants no more webhooks."
    return f"{endpoint.address} answered {status}."

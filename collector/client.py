"""For agents and gateways in Python: ask before a run, and set aside what it may cost.

    budget = Budget("http://localhost:8080", token="spm_...")
    with budget.run(service="support-agent", feature="checkout", estimate_usd="0.25") as lease:
        ...  # spans with the attributes of `lease.attributes` settle the lease

Only the standard library is needed. Where `opentelemetry` is importable, the lease is also put into baggage, from which
a span processor (`LeaseSpanProcessor`, or any that copies baggage) puts it on every span of the run.

When the block ends, in whatever way, the run is reported as ended: what spans have not settled within a minute is given
back by the daemon. So nothing needs releasing, and calls made before an exception still count.
"""

import asyncio
import contextlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

try:
    from opentelemetry import baggage, context
except ImportError:
    _IN_USE = False
else:
    _IN_USE = True

LEASE_ATTRIBUTE = "spanmeter.lease"

Amount = str | int | Decimal

_NO_ANSWER = (OSError, http.client.HTTPException)


class BudgetError(Exception):
    """The daemon could not be asked, or did not understand the question."""


class BudgetExceeded(Exception):  # noqa: N818 - a verdict, not a malfunction
    """The run is refused. `decision` is the daemon's answer; `retry_after` is in seconds."""

    def __init__(self, decision: Mapping[str, Any]) -> None:
        super().__init__(decision.get("message") or "The budget refuses this run.")
        self.decision = decision
        self.retry_after: int | None = decision.get("retry_after_seconds")


@dataclass(slots=True)
class Lease:
    """What is set aside for a run. `id` is empty when the daemon did not answer and the run went ahead regardless."""

    id: str
    decision: Mapping[str, Any]
    _settle: Callable[[str, Mapping[str, str]], None]
    _ended: bool = field(default=False, init=False)

    @property
    def attributes(self) -> dict[str, str]:
        """What spans of the run carry, so that their cost settles the lease."""
        return {LEASE_ATTRIBUTE: self.id} if self.id else {}

    def settle(self, *, usd: Amount | None = None, tokens: int | None = None) -> None:
        """The run has ended and cost this much: what it did not need is free again at once."""
        if self._ended or not self.id:
            return
        said = {"spent_usd": usd, "spent_tokens": tokens}
        self._settle(self.id, {name: str(value) for name, value in said.items() if value is not None})
        self._ended = True


class Budget:
    """Asks one daemon. Without arguments, SPANMETER_URL and SPANMETER_TOKEN say which.

    `fail_open`: when the daemon does not answer within `timeout` seconds or fails (5xx), runs go ahead without a lease;
    otherwise BudgetError is raised. Wrong questions and tokens (4xx) raise BudgetError in either case.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 2.0, fail_open: bool = False
    ) -> None:
        self._url = (url or os.environ.get("SPANMETER_URL", "http://127.0.0.1:8080")).rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise ValueError(f"{self._url!r} is not an http:// or https:// URL")
        self._token = token or os.environ.get("SPANMETER_TOKEN", "")
        self._timeout = timeout
        self._fail_open = fail_open

    def check(
        self, *, estimate_usd: Amount | None = None, estimate_tokens: int | None = None, **said: Any
    ) -> Mapping[str, Any]:
        """The daemon's decision: `allowed`, `budget`, `message`, `retry_after_seconds`. Sets nothing aside.

        `said` are service, environment, provider, model, agent, feature, user, conversation, and `attributes`, a dict.
        """
        question = _question(said, estimate_usd, estimate_tokens)
        return self._or_open("/api/v1/budgets/check", question)

    def lease(
        self,
        *,
        estimate_usd: Amount | None = None,
        estimate_tokens: int | None = None,
        ttl_seconds: float | None = None,
        **said: Any,
    ) -> Lease:
        """Set the estimate aside. Raises BudgetExceeded when a budget has no room. `said` as for `check`."""
        question = _question(said, estimate_usd, estimate_tokens)
        if ttl_seconds is not None:
            question["ttl_seconds"] = ttl_seconds
        decision = self._or_open("/api/v1/leases", question)
        if not decision["allowed"]:
            raise BudgetExceeded(decision)
        return Lease((decision.get("lease") or {}).get("id", ""), decision, self._settle)

    @contextlib.contextmanager
    def run(self, **question: Any) -> Iterator[Lease]:
        """A run under a lease; arguments as for `lease`. Raises BudgetExceeded before the block is entered."""
        lease = self.lease(**question)
        try:
            with _in_baggage(lease.id):
                yield lease
        finally:
            lease.settle()

    @contextlib.asynccontextmanager
    async def arun(self, **question: Any) -> AsyncIterator[Lease]:
        """As `run`, for asyncio: the daemon is asked from a thread."""
        lease = await asyncio.to_thread(lambda: self.lease(**question))
        try:
            with _in_baggage(lease.id):
                yield lease
        finally:
            await asyncio.to_thread(lease.settle)

    def _settle(self, lease_id: str, spent: Mapping[str, str]) -> None:
        """Failures are left to the lease's expiry: the run is over either way."""
        with contextlib.suppress(*_NO_ANSWER, BudgetError):
            self._post(f"/api/v1/leases/{lease_id}/settle", spent)

    def _or_open(self, path: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._post(path, question)
        except _NO_ANSWER as error:
            if self._fail_open:
                return {"allowed": True, "degraded": f"{self._url} did not answer: {error}", "lease": None}
            raise BudgetError(f"{self._url} did not answer: {error}") from error

    def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises one of _NO_ANSWER when the daemon does not answer or fails, BudgetError when it answers 4xx."""
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url + path, json.dumps(body).encode(), headers)  # noqa: S310 - checked
        try:
            with _OPENER.open(request, timeout=self._timeout) as answer:
                return _object(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500:
                    raise
                raise BudgetError(_sentence(error.read(), error)) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The daemon never redirects, and whoever does must not get the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def LeaseSpanProcessor() -> Any:  # noqa: N802 - stands for a class
    """An OpenTelemetry SDK span processor that puts the lease of the current run on every span it starts."""
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415 - only where the SDK is in use

    class Processor(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            lease_id = baggage.get_baggage(LEASE_ATTRIBUTE, parent_context)
            if lease_id:
                span.set_attribute(LEASE_ATTRIBUTE, str(lease_id))

    return Processor()


@contextlib.contextmanager
def _in_baggage(lease_id: str) -> Iterator[None]:
    if not (_IN_USE and lease_id):
        yield
        return
    token = context.attach(baggage.set_baggage(LEASE_ATTRIBUTE, lease_id))
    try:
        yield
    finally:
        context.detach(token)


def _question(said: Mapping[str, Any], usd: Amount | None, tokens: int | None) -> dict[str, Any]:
    question = {name: value for name, value in said.items() if value is not None}
    if usd is not None:
        question["estimate_usd"] = str(usd)
    if tokens is not None:
        question["estimate_tokens"] = tokens
    return question


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise BudgetError("What answered is not spanmeter's web port: no JSON object.")
    return answer


def _sentence(text: bytes, error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code} {error.reason}"

"""Checks, leases and runs of one daemon's budgets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Union

from spanmeter._http import NO_ANSWER, WebPort
from spanmeter.errors import BudgetError, BudgetExceeded
from spanmeter.tracing import LEASE_ATTRIBUTE, lease_in_baggage

Amount = Union[str, int, Decimal]


@dataclass
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
        spent = {"spent_usd": usd, "spent_tokens": tokens}
        self._settle(self.id, {name: str(value) for name, value in spent.items() if value is not None})
        self._ended = True


class Budget:
    """Asks one daemon. Without arguments, SPANMETER_URL and SPANMETER_TOKEN say which.

    `fail_open`: when the daemon does not answer within `timeout` seconds or fails (5xx), runs go ahead without a lease;
    otherwise BudgetError is raised. Wrong requests and tokens (4xx) raise BudgetError in either case.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, timeout: float = 2.0, fail_open: bool = False
    ) -> None:
        url = url or os.environ.get("SPANMETER_URL", "http://127.0.0.1:8080")
        self._port = WebPort(url.rstrip("/"), token or os.environ.get("SPANMETER_TOKEN", ""), timeout)
        self._fail_open = fail_open

    def check(
        self, *, estimate_usd: Amount | None = None, estimate_tokens: int | None = None, **dimensions: Any
    ) -> Mapping[str, Any]:
        """The daemon's decision: `allowed`, `budget`, `message`, `retry_after_seconds`. Sets nothing aside.

        `dimensions` are service, environment, provider, model, agent, feature, user, conversation, and `attributes`, a
        dict.
        """
        return self._decision("/api/v1/budgets/check", _request(dimensions, estimate_usd, estimate_tokens))

    def lease(
        self,
        *,
        estimate_usd: Amount | None = None,
        estimate_tokens: int | None = None,
        ttl_seconds: float | None = None,
        **dimensions: Any,
    ) -> Lease:
        """Set the estimate aside. Raises BudgetExceeded when a budget has no room. `dimensions` as for `check`."""
        request = _request(dimensions, estimate_usd, estimate_tokens)
        if ttl_seconds is not None:
            request["ttl_seconds"] = ttl_seconds
        decision = self._decision("/api/v1/leases", request)
        if not decision["allowed"]:
            raise BudgetExceeded(decision)
        return Lease((decision.get("lease") or {}).get("id", ""), decision, self._settle)

    @contextlib.contextmanager
    def run(self, **request: Any) -> Iterator[Lease]:
        """A run under a lease; arguments as for `lease`. Raises BudgetExceeded before the block is entered."""
        lease = self.lease(**request)
        try:
            with lease_in_baggage(lease.id):
                yield lease
        finally:
            lease.settle()

    @contextlib.asynccontextmanager
    async def arun(self, **request: Any) -> AsyncIterator[Lease]:
        """As `run`, for asyncio: the daemon is asked from a thread."""
        lease = await asyncio.to_thread(lambda: self.lease(**request))
        try:
            with lease_in_baggage(lease.id):
                yield lease
        finally:
            await asyncio.to_thread(lease.settle)

    def _settle(self, lease_id: str, spent: Mapping[str, str]) -> None:
        """Failures are left to the lease's expiry: the run is over either way."""
        with contextlib.suppress(*NO_ANSWER, BudgetError):
            self._port.post(f"/api/v1/leases/{lease_id}/settle", spent)

    def _decision(self, path: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the daemon decides; without an answer, what `fail_open` decides."""
        try:
            return self._port.post(path, request)
        except NO_ANSWER as error:
            sentence = f"{self._port.url} did not answer: {error}"
            if self._fail_open:
                return {"allowed": True, "degraded": sentence, "lease": None}
            raise BudgetError(sentence) from error


def _request(dimensions: Mapping[str, Any], usd: Amount | None, tokens: int | None) -> dict[str, Any]:
    request = {name: value for name, value in dimensions.items() if value is not None}
    if usd is not None:
        request["estimate_usd"] = str(usd)
    if tokens is not None:
        request["estimate_tokens"] = tokens
    return request

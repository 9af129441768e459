"""The task that empties the outbox: every endpoint on a lane of its own, so that a slow one delays no other."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from collector.errors import Unavailable
from collector.model.clock import Clock
from collector.telemetry import Metrics, Sample, catalogue
from collector.waiting import notify, wait_for
from collector.webhooks.attempt import Made, attempt
from collector.webhooks.client import Client
from collector.webhooks.deliveries import Deliveries, WebhookDelivery
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.outbox import Outbox
from collector.webhooks.overview import Statistics
from collector.webhooks.retries import Outcome, next_delay

log = structlog.get_logger("spanmeter.webhooks")

# Another process may put deliveries back into the queue; nobody tells us.
_LOOK_SECONDS = 2.0
_PRUNE_SECONDS = 3600.0
# How long a claim outlives its attempt's timeout, and how long a stop waits for attempts under way.
_LEASE_MARGIN = 30.0
_GRACE_SECONDS = 5.0
_T = TypeVar("_T")


class Sender:
    """Sends what is due until it is stopped. `wake` may be called from any thread; the rest from the loop's own."""

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        clock: Clock,
        metrics: Metrics,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._deliveries: Deliveries = outbox.deliveries
        self._client = client
        self._clock = clock
        self._metrics = metrics
        self._chance = chance
        self._endpoints: Mapping[str, Endpoint] = {}
        self._under_way: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self._statistics = Statistics()
        self._awake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._refused = False  # by the disk, in this round: the next one waits
        self._prune_at = self._count_at = 0.0
        # Of its own: the disk is asked in turns anyway, and other work must not fill the threads it waits for.
        self._threads = ThreadPoolExecutor(1, "webhooks-outbox")
        metrics.watch(self._readings)

    async def configure(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Send to these endpoints from now on; an attempt under way ends as it began. Raises Unavailable."""
        await self._in_thread(lambda: self._outbox.configure(endpoints))
        self._endpoints = dict(endpoints)
        self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        if self._loop:
            notify(self._loop, self._awake)

    async def run(self) -> None:
        """Send until `stop`. Call `configure` first."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._patiently(self._deliveries.release)
            while not self._stopping:
                self._awake.clear()
                self._refused = False
                for endpoint in list(self._endpoints.values()):
                    await self._take_up(endpoint)
                await self._wait()
            await self._end()
        finally:
            self._threads.shutdown(wait=False)

    def stop(self) -> None:
        """Take up no more; `run` ends once the attempts under way have ended or their grace has passed."""
        self._stopping = True
        self.wake()

    async def _take_up(self, endpoint: Endpoint) -> None:
        busy = sum(name == endpoint.name for name, _ in self._under_way.values())
        free = endpoint.max_concurrency - busy
        if free <= 0:
            return
        lease = endpoint.timeout + _LEASE_MARGIN
        claimed = await self._patiently(lambda: self._deliveries.claim(endpoint.name, free, lease))
        endpoint = self._endpoints.get(endpoint.name, endpoint)  # as it was configured meanwhile
        for delivery in claimed or ():
            if delivery.id not in self._under_way:
                task = asyncio.create_task(self._deliver(endpoint, delivery))
                self._under_way[delivery.id] = (endpoint.name, task)

    async def _wait(self) -> None:
        """Until something happens that makes another look worthwhile."""
        endpoints = self._endpoints
        due = await self._patiently(lambda: self._deliveries.next_due(endpoints))
        seconds = _LOOK_SECONDS
        if due is not None and not self._refused:
            seconds = min(seconds, (due - self._deliveries.steady.time_ns()) / 1e9)
        if seconds <= 0 and not self._has_room(endpoints):
            seconds = _LOOK_SECONDS  # what is due waits for an attempt under way, which wakes us
        await self._patiently(lambda: self._keep_house(idle=seconds > 0))
        await wait_for(self._awake, max(seconds, 0.01))

    def _has_room(self, endpoints: Mapping[str, Endpoint]) -> bool:
        busy = [name for name, _ in self._under_way.values()]
        return any(busy.count(name) < endpoint.max_concurrency for name, endpoint in endpoints.items())

    async def _deliver(self, endpoint: Endpoint, delivery: WebhookDelivery) -> None:
        try:
            await self._attempt(endpoint, delivery)
        except Exception:  # a defect of ours: it must not end the sender, and the claim runs out
            log.exception("A webhook could not be sent.", endpoint=endpoint.name, id=delivery.event_id)
        finally:
            self._under_way.pop(delivery.id, None)
            self._awake.set()

    async def _attempt(self, endpoint: Endpoint, delivery: WebhookDelivery) -> None:
        made = await attempt(self._client, self._clock, endpoint, delivery.event_id, delivery.body)
        self._metrics.webhook_attempts.labels(endpoint.name, made.log.outcome).inc()
        await self._conclude(endpoint, delivery, made)

    async def _conclude(self, endpoint: Endpoint, delivery: WebhookDelivery, made: Made) -> None:
        facts: dict[str, Any] = {"endpoint": endpoint.name, "id": delivery.event_id, "attempt": delivery.attempt}
        if made.outcome is Outcome.DELIVERED:
            await self._patiently(lambda: self._deliveries.succeeded(delivery, made.log))
            log.debug("A webhook was delivered.", **facts)
        elif made.outcome is Outcome.GONE:
            await self._patiently(lambda: self._deliveries.gone(delivery, made.log, endpoint.fingerprint))
            log.warning("A webhook's endpoint wants no more and is disabled.", why=made.log.error, **facts)
        else:
            delay = next_delay(delivery.tries + 1, made.retry_after, self._chance)
            next_at = None if delay is None else self._deliveries.steady.time_ns() + int(delay * 1e9)
            await self._patiently(lambda: self._deliveries.failed(delivery, made.log, next_at))
            if delay is not None:
                log.warning("A webhook failed and will be sent again.", why=made.log.error, seconds=delay, **facts)
                return
            log.error("A webhook is given up; `spanmeter webhooks replay` sends it.", why=made.log.error, **facts)
        self._metrics.webhook_deliveries.labels(endpoint.name, made.log.outcome).inc()

    async def _end(self) -> None:
        tasks = [task for _, task in self._under_way.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
        left = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if left:
            await self._patiently(lambda: self._deliveries.release(left))

    def _keep_house(self, *, idle: bool) -> None:
        """Prune, and count what `/metrics` shows: both go through many rows, so not after every delivery of many."""
        now = self._clock.monotonic()
        if now >= self._prune_at:
            self._prune_at = now + _PRUNE_SECONDS
            self._outbox.prune()
        if idle or now >= self._count_at:
            self._count_at = now + _LOOK_SECONDS
            self._statistics = self._outbox.overview.statistics()

    async def _patiently(self, work: Callable[[], _T]) -> _T | None:
        """`work` in the outbox's thread. While the disk refuses, nothing is lost: what is not noted is sent again."""
        try:
            return await self._in_thread(work)
        except Unavailable as error:
            self._refused = True
            log.error("The webhook outbox cannot be used; it will be tried again.", why=str(error))
            return None

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _readings(self) -> Iterable[Sample]:
        now = self._statistics
        age = (self._clock.time_ns() - now.oldest) / 1e9 if now.oldest else 0.0
        yield Sample(catalogue.WEBHOOKS_PENDING, now.pending)
        yield Sample(catalogue.WEBHOOKS_HELD, now.held)
        yield Sample(catalogue.WEBHOOKS_FAILED, now.failed)
        yield Sample(catalogue.WEBHOOKS_DISABLED_ENDPOINTS, now.disabled)
        yield Sample(catalogue.WEBHOOKS_OLDEST_PENDING_SECONDS, age)

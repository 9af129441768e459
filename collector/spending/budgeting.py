"""Everything of budgets, put together: the ledger and its writer, the events of it, and what is refused for it.

drain -> spending (the ledger) -> alerting -> outbox -> sender
                               -> enforcement (leases settle)
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from collector.budgets.ledger import Changes, Ledger
from collector.budgets.rules import Rules
from collector.budgets.seen_values import SeenValues
from collector.budgets.views import top
from collector.config import Config, with_judge_caps
from collector.errors import ConfigError, Unavailable
from collector.model.clock import Clock
from collector.model.model_names import AS_SENT, ModelNames
from collector.part import Part
from collector.query.budgets import BudgetQueries
from collector.spending.alerting import Alerting, Contributors
from collector.spending.enforcement import Enforcement
from collector.spending.lease_store import LeaseStore
from collector.spending.ledger_writer import Spending
from collector.store.client import Store
from collector.telemetry import Metrics, Sample
from collector.waiting import notify, wait_for
from collector.webhooks.client import Client
from collector.webhooks.endpoint import endpoints
from collector.webhooks.outbox import FILE, Outbox
from collector.webhooks.overview import Summary
from collector.webhooks.sender import Sender

log = structlog.get_logger("spanmeter.budgets")

LEASES_FILE = "leases.db"
_TICK_SECONDS = 1.0
_COPY_SECONDS = 5.0


class Budgeting(Part):
    """The parts of budgets of one daemon. Without budgets in the settings it costs nothing but two small files."""

    name = "budgets"
    settings = ("budgets", "enforcement", "ledger", "webhooks", "web.public_url", "evaluators", "evals.files")
    reloadable = ("budgets", "enforcement", "webhooks", "evaluators", "evals.files")

    def __init__(
        self,
        config: Config,
        store: Callable[[], Store],
        health: Callable[[], str | None],
        clock: Clock,
        metrics: Metrics,
        names: Callable[[], ModelNames] = lambda: AS_SENT,
        web_port: Callable[[], int] = lambda: 0,
    ) -> None:
        """`health` is why stored spend may lag, None when it does not; `names` knows now what models are called.

        `web_port` is asked for links, when the web port is open: its settings may leave the number to the system.

        Raises StartError, ConfigError.
        """
        self._config = config
        self._names = names
        self._store = store
        self._clock = clock
        directory = config.directory
        rules = Rules.from_config(with_judge_caps(config), names())
        self.ledger = Ledger(config.ledger.max_values)
        self.outbox = Outbox(directory / FILE, clock)
        self._leases = LeaseStore(directory / LEASES_FILE)
        self._health = health
        self._lagging: str | None = None
        seen = SeenValues()
        self.enforcement = Enforcement(
            rules, self.ledger, self._leases, config.enforcement, clock, lambda: self._lagging, seen
        )
        self._opened: Store | None = None
        self.stored = BudgetQueries(lambda: self._opened or store())
        self._endpoints = endpoints(config)
        self._client = Client()
        self._sender = Sender(self.outbox, self._client, clock, metrics)
        known = partial(top, self.ledger)

        def link() -> str:
            return config.web.link(web_port())

        self._link = link
        self._alerting = Alerting(
            rules, self.ledger, self.outbox, clock, self._recorded, link, self.stored.steps, known
        )
        self._contributors = Contributors(rules, self.outbox, clock, self.stored.top, self._sender.wake)
        self._contributors_missing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.spending = Spending(
            rules.with_breakdowns(), self.ledger, clock, self.enforcement.open_leases, self._on_ledger_change, seen
        )
        self._reconcile_interval = config.ledger.reconcile_interval
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._reloading = asyncio.Lock()
        self._undecided = False

    def latest(self, limit: int) -> Sequence[Summary]:
        """The deliveries of events queued last, newest first. Blocks on the disk."""
        return self.outbox.overview.latest(limit)

    def replay(self, event_id: str, endpoint: str) -> int:
        """Queue a delivery again, with its whole schedule; how many that were. Blocks on the disk."""
        count = self.outbox.deliveries.replay([event_id], endpoint=endpoint)
        self._sender.wake()
        return count

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send, look at the clock, reconcile and copy until `stop`. Failures of the store are tried again."""
        self._loop = asyncio.get_running_loop()
        self._ended.clear()
        if self._endpoints and not self._config.web.public_url:
            log.info("Links in webhooks lead to this machine; set web.public_url to where people are.", to=self._link())
        try:
            await self._configured()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sender.run())
                tasks.create_task(self._every(_TICK_SECONDS, self._tick))
                tasks.create_task(self._add_contributors())
                tasks.create_task(self._every(_COPY_SECONDS, self._copy))
                tasks.create_task(self._rename())
                tasks.create_task(self._every(self._reconcile_interval, self._reconcile))
        finally:
            self._ended.set()

    async def _configured(self) -> None:
        """Tell the sender where to send, however long the outbox does not let it."""
        while not self._stopping.is_set():
            try:
                await self._sender.configure(self._endpoints)
            except Unavailable as error:
                log.error("Webhooks cannot be sent now; it will be tried again.", why=str(error))
                await wait_for(self._stopping, _TICK_SECONDS)
            else:
                return

    async def stop(self, _: float) -> None:
        """Have `run` end once what its threads are at is done; what is not sent yet stays in the outbox."""
        self._stopping.set()
        self._contributors_missing.set()
        self._sender.stop()
        await self._ended.wait()

    def close(self) -> None:
        self._client.close()
        self._leases.close()
        self.outbox.close()

    def readings(self) -> Iterable[Sample]:
        yield from self.enforcement.readings()
        yield from self.spending.readings()
        yield from self.outbox.readings()

    def start(self, store: Store) -> None:
        """The store is ready: build the ledger, and decide on its sums. Blocking; raises Unavailable."""
        self._opened = store
        self.spending.start(store)
        self._alerting.decide_all()

    async def reload(self, config: Config) -> None:
        """Use these settings from now on. Raises ConfigError or Unavailable before the budgets have changed."""
        rules, receivers = Rules.from_config(with_judge_caps(config), self._names()), endpoints(config)
        async with self._reloading:
            self._config = config
            await self._sender.configure(receivers)
            self._endpoints = receivers
            await asyncio.to_thread(self.spending.use, rules.with_breakdowns())
            self.enforcement.reload(rules, config.enforcement)
            self._contributors.use(rules)
            try:
                await asyncio.to_thread(self.spending.refresh_values)
                await asyncio.to_thread(self._alerting.use, rules)
            except Unavailable as error:
                self._undecided = True
                log.warning("Events of the new budgets are sent when the ledger is compared next.", why=str(error))

    async def _rename(self) -> None:
        """Count by new names of models, as refreshed prices and new aliases have them."""
        while not self._stopping.is_set():
            if self._names() is not self.enforcement.rules.names:
                try:
                    await self.reload(self._config)
                except (Unavailable, ConfigError) as error:
                    log.warning("New names of models are not in use yet; it will be tried again.", why=str(error))
            await wait_for(self._stopping, _TICK_SECONDS)

    async def _add_contributors(self) -> None:
        """Describe events as they come, and once in a while those that could not be."""
        while not self._stopping.is_set():
            self._contributors_missing.clear()
            if self.ledger.ready:
                await self._once(self._contributors.work)
            await wait_for(self._contributors_missing, _TICK_SECONDS)

    async def _every(self, seconds: float, work: Callable[[], object]) -> None:
        while not self._stopping.is_set():
            await self._once(work)
            await wait_for(self._stopping, seconds)

    async def _once(self, work: Callable[[], object]) -> None:
        try:
            await asyncio.to_thread(work)
        except Unavailable as error:
            log.warning("Budgets cannot be kept up now; it will be tried again.", why=str(error))
        except Exception:  # a defect must not end the daemon: the next time may do
            log.exception("Budgets could not be kept up; it will be tried again.")

    # -- work -----------------------------------------------------------------------------------------------------

    def _on_ledger_change(self, changes: Changes) -> None:
        """The ledger has changed. What is set aside is given back after spend is counted, never before."""
        self.enforcement.settle_leases(
            (lease, spent.amount.pico, spent.amount.tokens, spent.finished) for lease, spent in changes.leases.items()
        )
        self._alerting.evaluate(changes)

    def _recorded(self) -> None:
        """The outbox has new events: some may go at once, others are to be described first."""
        self._sender.wake()
        if self._loop:
            notify(self._loop, self._contributors_missing)

    def _tick(self) -> None:
        self._lagging = self._health()
        if self.ledger.ready:
            try:
                self._alerting.tick()
            except Exception:  # its events are lost: all is decided when the ledger is compared next
                self._undecided = True
                raise

    def _reconcile(self) -> None:
        """Correct the ledger, and decide on what was corrected, also when not every budget could be compared."""
        try:
            self.spending.refresh_values()
            for _ in self.spending.reconcile():
                self._undecided = True
        finally:
            if self._undecided:
                self._alerting.decide_all()
                self._undecided = False

    def _copy(self) -> None:
        """Copy events and deliveries into the store, for those who query it."""
        if not self.ledger.ready:
            return
        copies = self.outbox.copier.copies()
        if not copies:
            return
        writer = self._store().clone()
        try:
            for table, batch, token in (
                ("budget_events", copies.events, copies.events_token),
                ("webhook_deliveries", copies.deliveries, copies.deliveries_token),
            ):
                if batch is not None:
                    writer.insert(table, [batch], token)
        finally:
            writer.close()
        self.outbox.copier.copied(copies.marks)

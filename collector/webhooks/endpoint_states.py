"""Which endpoints are sent to: the configured ones, but for those that answered 410 Gone."""

from collections.abc import Mapping

from collector.model.clock import Clock
from collector.sqlite import Database, Transaction
from collector.webhooks.endpoint import Endpoint


class EndpointStates:
    """Rows of the table `endpoints`. What waits for an endpoint that is not sent to is held.

    Thread-safe; every method blocks on the disk.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def configure(self, endpoints: Mapping[str, Endpoint]) -> None:
        """An endpoint that changed is enabled again; deliveries of endpoints that are gone are held."""
        with self._database.transaction() as transaction:
            known = {row["name"]: row["fingerprint"] for row in transaction.rows("endpoints")}
            for name, endpoint in endpoints.items():
                if known.get(name) != endpoint.fingerprint:
                    transaction.run("configure_endpoint", (name, endpoint.fingerprint))
            transaction.run_each("forget_endpoint", [(name,) for name in known.keys() - endpoints.keys()])
            self.hold_and_resume(transaction)

    def disable(self, transaction: Transaction, name: str, fingerprint: str, reason: str) -> None:
        """Send no more to an endpoint, if it still is the one with this fingerprint."""
        transaction.run("disable_endpoint", (self._clock.time_ns(), reason, name, fingerprint))
        self.hold_and_resume(transaction)

    def enable(self, name: str) -> None:
        """Send to an endpoint again that was disabled; what was held for it is due."""
        with self._database.transaction() as transaction:
            transaction.run("enable_endpoint", (name,))
            self.hold_and_resume(transaction)

    def disabled(self) -> dict[str, tuple[int, str]]:
        """The endpoints that are disabled: since when (Unix ns), and why."""
        rows = self._database.rows("disabled_endpoints")
        return {row["name"]: (row["disabled_at"], row["reason"]) for row in rows}

    def hold_and_resume(self, transaction: Transaction) -> None:
        """Hold what waits for an endpoint that is not sent to, and let go what was held for one that is."""
        transaction.run("hold")
        transaction.run("resume")

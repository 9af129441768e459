"""Captured sessions of coding agents, delivered as the drain does, and what the model server knows of them."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from collector.admit.validate import validate
from collector.billing import spans
from collector.billing.across_batches import Billing
from collector.billing.completing import Completer
from collector.billing.late_content import LateContent
from collector.billing.log_content import LoggedContent
from collector.billing.models_above import ModelsAbove
from collector.billing.session_events import SessionReader
from collector.billing.session_metrics import SessionMetrics
from collector.billing.sessions import SessionWriter
from collector.enrich import RecentTraces
from collector.enrich.sessions import sources
from collector.errors import Rejected
from collector.model.envelope import Encoding, Envelope, Signal
from collector.spending.feed import Writing, uncounted
from collector.spool import DeadLetter
from collector.store import Store
from collector.storing import Poison, SignalPath, each, log_path, metric_path, span_path
from collector.telemetry import Metrics
from tests.support.stored import ENRICHER

ROOT = Path(__file__).parents[1] / "fixtures" / "agents"
CASES = sorted(path.parent.name for path in ROOT.glob("*/truth.json"))
RECEIVED = 1_800_000_000_000_000_000


@functools.cache
def truth(case: str, root: Path = ROOT) -> dict[str, Any]:
    """What the model server logged of the calls."""
    document: dict[str, Any] = json.loads((root / case / "truth.json").read_text(encoding="utf-8"))
    return document


@functools.cache
def requests(case: str, root: Path = ROOT) -> tuple[Envelope, ...]:
    """The requests of all signals in the order they were sent, each a second after the one before."""
    paths = sorted(path for path in (root / case).iterdir() if path.name != "truth.json")
    return tuple(_envelope(path, RECEIVED + number * 1_000_000_000) for number, path in enumerate(paths))


def _envelope(path: Path, received: int) -> Envelope:
    signal = Signal(path.name.split(".")[1])
    encoding = Encoding.JSON if path.suffix == ".json" else Encoding.PROTOBUF
    valid = validate(signal, path.read_bytes(), encoding)
    return Envelope("default", received, valid.receipt.accepted, valid.payload, signal=signal)


def _refused(_: str, error: Rejected, __: Envelope) -> None:
    raise error


class Daemon:
    """The paths of the three signals over one store; `restart` forgets what memory has.

    What the store refuses of the rows that follow fails the test, unless there is a dead letter.
    """

    def __init__(self, store: Store, writing: Writing = uncounted, deadletter: DeadLetter | None = None) -> None:
        self._store = store
        self._writing = writing
        self._deadletter = deadletter
        self._inserts = 0
        self.metrics = Metrics(CollectorRegistry())
        self.restart()

    def restart(self) -> None:
        billing = Billing(ENRICHER, RecentTraces(100_000))
        reader = SessionReader(sources(ENRICHER.families), self.metrics)
        set_aside = Poison(self._deadletter, self.metrics).set_aside if self._deadletter else _refused
        writer = SessionWriter(reader, billing, self._writing, self.metrics, set_aside)
        metered = SessionMetrics(ENRICHER.families, self.metrics)
        completer = Completer(billing, self._writing, set_aside)
        contents, models = LoggedContent(ENRICHER.families, completer), ModelsAbove(ENRICHER.families, completer)
        follow = spans.each(contents.follow_spans, models.follow, LateContent(completer).follow)
        self._paths: Mapping[Signal, SignalPath] = {
            Signal.TRACES: span_path(billing, self.metrics, self._writing, follow=follow),
            Signal.LOGS: log_path(self.metrics, follow=each(writer.write, contents.follow_logs)),
            Signal.METRICS: metric_path(self.metrics, follow=metered.follow),
        }

    def deliver(self, envelopes: Sequence[Envelope]) -> None:
        """Store requests as one segment."""
        self._inserts += 1
        for signal, path in self._paths.items():
            if part := [envelope for envelope in envelopes if envelope.signal is signal]:
                self._store_part(path, part)

    def _store_part(self, path: SignalPath, part: Sequence[Envelope]) -> None:
        for table, batch in zip(path.tables, path.decode(part), strict=True):
            if not batch.num_rows:
                continue
            rows = table.enrich(self._store, [batch])
            with rows.inserting(again=False) as insert:
                for day, chosen, _ in rows.by_day():
                    insert(self._store, chosen, f"{id(self)}-{self._inserts}/{table.table.token_prefix}{day}")

"""What each span means and costs: conventions, then the decision on who is billed, then prices. Pure but for caches."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pyarrow as pa

from collector.enrich.billed.schema import BilledMask
from collector.enrich.conventions.reader import Conventions
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rowwise import RowEnricher

try:
    from collector.enrich.columns.columnwise import ColumnEnricher
except ImportError:  # nothing was compiled
    NATIVE = False
else:
    NATIVE = True


class ReadBatch(Protocol):
    """A decoded batch, what each of its rows says, and what that decision needs of them, as `SEEN_SCHEMA`."""

    @property
    def batch(self) -> pa.RecordBatch: ...

    @property
    def spans(self) -> pa.RecordBatch: ...

    @property
    def with_purpose(self) -> BilledMask:
        """Which rows were made for something else than the product."""
        ...

    def starting(self, starts: Mapping[int, int]) -> "ReadBatch":
        """The same rows, some of them (by position) with another start, in Unix nanoseconds."""
        ...

    def as_model(self, model: str) -> "ReadBatch":
        """The same usage on another model, whose provider its name tells; what was reported was for the model used."""
        ...


class Implementation(Protocol):
    """How a batch is read and finished; both ways give the same rows."""

    def read(self, batch: pa.RecordBatch) -> Any: ...

    def finish(self, catalogue: Catalogue, reading: Any, billed: BilledMask) -> pa.RecordBatch: ...


def _best(conventions: Conventions) -> Implementation:
    return ColumnEnricher(conventions) if NATIVE else RowEnricher(conventions)


class Enricher:
    """Conventions and prices. `catalogue` may be replaced while it is used: a batch is priced with one of them.

    The drain and re-pricing may use it at the same time.
    """

    def __init__(
        self,
        conventions: Conventions,
        catalogue: Catalogue,
        implementation: Callable[[Conventions], Implementation] = _best,
    ) -> None:
        self._implementation: Implementation = implementation(conventions)
        self.families = conventions.families
        self.providers = conventions.providers
        self.catalogue = catalogue

    def read(self, batch: pa.RecordBatch) -> ReadBatch:
        """What the rows of a batch of `model.columns.DECODED_SCHEMA` say."""
        reading: ReadBatch = self._implementation.read(batch)
        return reading

    def finish(self, reading: ReadBatch, billed: BilledMask) -> pa.RecordBatch:
        """The batch with every enriched column: `billed` rows are priced, other reports of usage are rolled up."""
        return self._implementation.finish(self.catalogue, reading, billed)

"""What deciding on who is billed needs of spans, as columns, and how it answers.

Both implementations of `RecentTraces` take batches of `SEEN_SCHEMA`, so neither makes an object for a span.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.model.keys import SpanKey

BilledMask = npt.NDArray[np.bool_]  # one a row

# Ids are lower-case hex, 32 digits for a trace and 16 for a span; a parent id of another form is no span's.
# Start and End are Unix nanoseconds, Start <= End. Reports: the span reports usage; what follows counts only then.
# IsCall: it may describe a call of its own, rather than only sum up others. Root: it was sent without a parent id.
# Version orders the rows of a span (model/versions.py). Detail counts the priced parts it tells apart. Models and
# providers are numbers of `names`. Billed is what the stored row says, null for a span not stored yet.
SEEN_SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name == "Billed")
        for name, kind in (
            ("Project", pa.string()),
            ("TraceId", pa.string()),
            ("SpanId", pa.string()),
            ("ParentSpanId", pa.string()),
            ("ServiceName", pa.string()),
            ("ScopeName", pa.string()),
            ("ResponseId", pa.string()),
            ("Start", pa.int64()),
            ("End", pa.int64()),
            ("Version", pa.int64()),
            ("Reports", pa.bool_()),
            ("IsCall", pa.bool_()),
            ("Root", pa.bool_()),
            ("InputTokens", pa.int64()),
            ("OutputTokens", pa.int64()),
            ("Detail", pa.int8()),
            ("RequestModel", pa.int64()),
            ("ResponseModel", pa.int64()),
            ("Provider", pa.int32()),
            ("Billed", pa.bool_()),
        )
    ]
)

HOUR_NS = 3_600 * 1_000_000_000
_LATEST = np.uint64(2**63 - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Billed:
    """`billed`: for each row of a batch, whether to bill it. `revise`: the same for stored spans whose rows are wrong.

    A span of the batch is in `revise` too when it was stored before: an insert repeated under its token adds nothing.

    `superseded`: rows that cannot count, since a row of the same span in the batch or before it does; they are not to
    be stored. `moved`: other rows of which the first row of their span started in another hour, and the nearest start
    in that hour: the table replaces a row only by one of the same hour. `repeated`: rows that count, of spans of which
    a row was seen before them.
    """

    billed: BilledMask
    revise: Mapping[SpanKey, bool]
    superseded: BilledMask
    moved: Mapping[int, int]
    repeated: Sequence[int] = ()


def ends(starts: pa.Array, durations: pa.Array) -> pa.Array:
    """Start (int64) plus duration (uint64), both nanoseconds; the largest int64 where the sum is beyond it."""
    begin = np.asarray(starts).view(np.uint64)  # modulo 2**64 the room above a negative start is right too
    duration = np.minimum(np.asarray(durations), _LATEST - begin)
    return pa.array((begin + duration).view(np.int64), pa.int64())

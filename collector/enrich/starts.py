"""When spans began, as their senders say."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from collector.model.columns import DAY_NS, LATEST_NS, START_ATTRIBUTE


def own_starts(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """The start of each row in Unix ns, by which calls are priced; old spans that are stored on 1970-01-01 have theirs
    in START_ATTRIBUTE.
    """
    starts = np.asarray(batch.column("Timestamp").cast(pa.int64()))
    if not (starts < DAY_NS).any():
        return starts
    column = batch.column("SpanAttributes")
    places = np.flatnonzero(np.asarray(pc.equal(column.keys, START_ATTRIBUTE)))
    rows = np.searchsorted(np.asarray(column.offsets), places, "right") - 1
    starts = starts.copy()
    for row, text in zip(rows.tolist(), column.items.take(pa.array(places)).to_pylist(), strict=True):
        if 0 <= row < len(starts) and starts[row] < DAY_NS and text.isdecimal():
            starts[row] = min(int(text[:20]), LATEST_NS)
    return starts

"""Calls that say how many tokens they used in words no convention knows: the sign of a library that is new to us."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.model.columns import TEXT
from collector.model.money import PriceStatus

# What names of token counts end in, whatever they begin with.
_ENDINGS = "(input|output)_tokens$"
_IS_COUNT = "^[0-9]{1,10}$"


def unread_usage(batch: pa.RecordBatch) -> Counter[str]:
    """Of an enriched batch the calls without usage that have an attribute `*input_tokens` or `*output_tokens` above 0.

    By the name of their scope. Costs a look at the statuses where every call has usage.
    """
    missing = pc.equal(batch.column("PriceStatus").cast(TEXT), PriceStatus.NO_USAGE.value)
    if pc.any(missing).as_py():
        for name in ("InputTokens", "OutputTokens"):
            missing = pc.and_(missing, pc.equal(batch.column(name), 0))
    if not pc.any(missing).as_py():
        return Counter()
    calls = batch.select(["ScopeName", "SpanAttributes"]).filter(missing)
    attributes = calls.column("SpanAttributes")
    keys = attributes.keys.dictionary_encode()
    counted = pc.match_substring_regex(keys.dictionary, _ENDINGS).to_numpy(zero_copy_only=False)
    if not counted.any():
        return Counter()
    entries = np.flatnonzero(counted[keys.indices.to_numpy()])
    entries = entries[_above_zero(attributes.items.take(pa.array(entries)))]
    rows = np.searchsorted(attributes.offsets.to_numpy(), entries, "right") - 1
    return Counter(calls.column("ScopeName").take(pa.array(np.unique(rows))).to_pylist())


def _above_zero(counts: pa.Array) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    whole = pc.match_substring_regex(counts, _IS_COUNT)
    above = pc.greater(pc.if_else(whole, counts, "0").cast(pa.int64()), 0)
    return above.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

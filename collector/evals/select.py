"""Whom an evaluator looks at: by what is known of a run without its spans, and by a draw that is always the same."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from collector.config.evaluators import Sample, Select
from collector.model.evaluations import digest_of
from collector.model.purposes import PRODUCT
from collector.query.run_rows import RunRow

_WHOLE: Final = 2**64
_HASH_DIGITS: Final = 32


def is_selected(select: Select, run: RunRow) -> bool:
    """Whether a run is one that an evaluator looks at, `where` apart, which asks its spans."""
    return (
        run.purpose == PRODUCT
        and _any(select.agent, run.agents)
        and _any(select.feature, run.features)
        and _any(select.model, run.models)
        and _any(select.service, run.services)
        and _any(select.user, (run.user_id,))
        and _any(select.conversation, (run.conversation_id,))
        and (not select.status or run.status.value in select.status)
    )


def is_drawn(sample: Sample, run: RunRow, *, together: bool = False) -> bool:
    """Whether a run, or `together` its conversation, is of the sample. The draw is by hash: the same for every
    evaluator, and again.
    """
    by_conversation = (together or sample.by == "conversation") and run.conversation_id
    key = run.conversation_id if by_conversation else run.trace_id
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return drawn < sample.rate * _WHOLE


def input_hash(run: RunRow) -> str:
    """Of what is judged: which run, with how many spans, the last of which came when."""
    return digest_of(f"{run.trace_id} {run.spans} {run.last_received}".encode())[:_HASH_DIGITS]


@lru_cache(256)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(".*".join(map(re.escape, one.split("*"))) for one in patterns), re.DOTALL)


def _any(patterns: tuple[str, ...], values: Iterable[str]) -> bool:
    return not patterns or any(_compiled(patterns).fullmatch(value) for value in values)

"""What the product says of captured sessions of coding agents, beside what the model server knows.

    python -m tests.support.session_table [FOLDER of captures]

prints, for each capture, its calls, tokens by bucket, cost, rounds and actions. Captures have a `truth.json`.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import Usage, calc_price

from collector.config import StoreConfig
from collector.runs import read_spans, run_of
from collector.store import Store, migrate, open_store
from collector.telemetry import set_up_logs
from tests.support.sessions import ROOT, Daemon, requests, truth

# As the truth names them, in the order of `Tokens`.
BUCKETS = ("input_tokens_all", "output_tokens_all", "cached_tokens", "cache_creation_tokens", "reasoning_tokens")
_BILLED = "PriceStatus IN ('priced', 'reported', 'unknown_model')"
_NAMES = ("input", "output", "read", "write", "reason")

Tokens = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Shown:
    """What the product says of a case."""

    calls: Counter[Tokens]
    priced: int
    cost: Decimal
    reported: Decimal
    rounds: int
    failed_rounds: int
    actions: int
    runs: int


def shown(store: Store) -> Shown:
    columns = "InputTokens, OutputTokens, CacheReadTokens, CacheWriteTokens, ReasoningTokens, Cost, ReportedCost"
    rows = store.query(f"SELECT {columns} FROM otel_traces FINAL WHERE {_BILLED}", {}).to_pylist()
    telling = "SELECT DISTINCT TraceId FROM otel_traces FINAL WHERE Kind IN ('llm', 'tool', 'agent') ORDER BY TraceId"
    traces = store.query(telling, {}).column("TraceId").to_pylist()
    rounds = [found for trace in traces for found in _rounds(store, trace)]
    return Shown(
        calls=Counter(tuple(list(row.values())[:5]) for row in rows),
        priced=sum(row["Cost"] is not None for row in rows),
        cost=sum((row["Cost"] or Decimal(0) for row in rows), Decimal(0)),
        reported=sum((row["ReportedCost"] or Decimal(0) for row in rows), Decimal(0)),
        rounds=sum(found.input_tokens > 0 for found in rounds),
        failed_rounds=sum(found.call is not None and not found.input_tokens for found in rounds),
        actions=sum(len(found.actions) for found in rounds),
        runs=len(traces),
    )


def _rounds(store: Store, trace: str) -> Sequence[Any]:
    rows = store.query("SELECT * FROM otel_traces FINAL WHERE TraceId = {trace:String}", {"trace": trace})
    return run_of(read_spans(rows)).rounds


def answered(case: str, root: Path = ROOT) -> list[dict[str, Any]]:
    return [call for call in truth(case, root)["llm_calls"] if call["http_status"] == 200]


def tokens(call: dict[str, Any]) -> Tokens:
    return tuple(call[part] for part in BUCKETS)


def listed_cost(calls: Sequence[dict[str, Any]]) -> Decimal | None:
    """What calls cost by the prices of the library's own calculation; None without a price."""
    try:
        return sum((_listed(call) for call in calls), Decimal(0))
    except LookupError:
        return None


def _listed(call: dict[str, Any]) -> Decimal:
    usage = Usage(
        input_tokens=call["input_tokens_all"],
        output_tokens=call["output_tokens_all"],
        cache_read_tokens=call["cached_tokens"],
        cache_write_tokens=call["cache_creation_tokens"],
    )
    at = datetime.fromtimestamp(call["time"], UTC)
    return calc_price(usage, call["response_model"], genai_request_timestamp=at).total_price


def cleared(store: Store) -> None:
    """Nothing is stored of sessions any more."""
    for table in ("otel_traces", "otel_logs", "otel_traces_trace_id_ts"):
        store.command(f"TRUNCATE TABLE {table}")


_COLUMNS = (
    *("capture", "calls", "billed", "priced", "exact", *_NAMES),
    *("cost true", "cost shown", "reported", "rounds", "failed", "tools true", "actions", "runs"),
)


def row(store: Store, case: str, root: Path) -> tuple[Any, ...]:
    """The line of a capture. Buckets have the tokens shown, and what is true where that is something else."""
    daemon = Daemon(store)
    for request in requests(case, root):
        daemon.deliver([request])
    found, true = shown(store), answered(case, root)
    known, totals = Counter(map(tokens, true)), truth(case, root)["totals"]
    sums = [sum(call[place] * count for call, count in found.calls.items()) for place in range(len(BUCKETS))]
    buckets = [
        str(said) if said == totals[name] else f"{said} of {totals[name]}"
        for name, said in zip(BUCKETS, sums, strict=True)
    ]
    cost = totals["cost_usd"] if totals["cost_usd"] is not None else listed_cost(true)
    return (
        *(case, len(true), found.calls.total(), found.priced, (found.calls & known).total(), *buckets),
        *(cost, found.cost, found.reported, found.rounds, found.failed_rounds),
        *(totals["tool_calls"], found.actions, found.runs),
    )


def main(root: Path) -> None:
    set_up_logs("error", "text")
    cases = sorted(path.parent.name for path in root.glob("*/truth.json"))
    print("| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS))
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(StoreConfig(), Path(directory))
        migrate(store, 0)
        for case in cases:
            cleared(store)
            print("| " + " | ".join(str(value) for value in row(store, case, root)) + " |", flush=True)
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)

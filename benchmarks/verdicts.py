"""What the verdict on who is billed costs: CPU microseconds a span of absorb and confirm, native and in Python.

python -m benchmarks.verdicts [SPANS]
"""

import random
import sys
import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from collector.enrich.billed import _traces, traces
from collector.enrich.billed.names import model_number, provider_number
from collector.enrich.billed.schema import SEEN_SCHEMA

_CHAIN = 50_000
_PYTHON_SHARE = 10  # Python is given a tenth of the spans
Kind = type[traces.RecentTraces | _traces.RecentTraces]
Shape = Callable[[int], Iterator[pa.RecordBatch]]


def main(spans: int = 100_000) -> None:
    """The memory holds half of the spans, so that the second half is measured with forgetting."""
    print(f"memory, a full one of calls in traces of 10: {_memory(spans):.0f} bytes/span")
    shapes: dict[str, Shape] = {
        "new traces of 10 spans": new_traces,
        "traces of 10 in 5 batches": in_pieces,
        "one bucket, traces of 10": hot_bucket,
        "one bucket, traces of 1": hot_roots,
        "one bucket, calls and lost doubles": hot_doubles,
        "one trace in 100 batches": wide_trace,
        f"a chain of {_CHAIN} calls": deep_chain,
    }
    print(f"{'':36}{'native':>9}{'Python':>9}  us/span, {spans} spans in batches of {spans // 100}")
    for name, shape in shapes.items():
        batches = list(shape(spans))
        native = min(_cost(_traces.RecentTraces, batches) for _ in range(3))
        python = _cost(traces.RecentTraces, list(shape(spans // _PYTHON_SHARE)))
        print(f"{name:36}{native:9.2f}{python:9.2f}")


def new_traces(spans: int) -> Iterator[pa.RecordBatch]:
    """A run with an agent above nine calls, as one request brings it."""
    for begin in range(0, spans, spans // 100):
        yield _batch([_call(number, number // 10, number % 10) for number in range(begin, begin + spans // 100)])


def in_pieces(spans: int) -> Iterator[pa.RecordBatch]:
    """Two spans of every run in each of five batches; runs follow each other."""
    size = spans // 100
    for begin in range(0, spans, 5 * size):
        for piece in range(5):
            rows = (begin + number for number in range(5 * size) if number % 10 // 2 == piece)
            yield _batch([_call(number, number // 10, number % 10) for number in rows])


def hot_bucket(spans: int) -> Iterator[pa.RecordBatch]:
    """Equal totals in every call."""
    for begin in range(0, spans, spans // 100):
        numbers = range(begin, begin + spans // 100)
        yield _batch([_call(number, number // 10, number % 10, InputTokens=900, OutputTokens=40) for number in numbers])


def hot_roots(spans: int) -> Iterator[pa.RecordBatch]:
    """Equal totals in every call, and a trace for each."""
    for begin in range(0, spans, spans // 100):
        numbers = range(begin, begin + spans // 100)
        yield _batch([_call(number, number, 1, InputTokens=900, OutputTokens=40) for number in numbers])


def hot_doubles(spans: int) -> Iterator[pa.RecordBatch]:
    """Equal totals, and of every call a double in a trace of its own; a hundred at any time."""
    chance = random.Random(1)
    for begin in range(0, spans, spans // 100):
        rows = []
        for number in range(begin, begin + spans // 100):
            lost = number % 2 == 1
            start = number // 2 * 10_000_000 + (chance.randrange(1000) if lost else 0)
            other = {"Root": lost, "ScopeName": "sdk" if lost else "chain", "ResponseId": ""}
            end = start + (400_000_000 if lost else 500_000_000)
            rows.append(_call(number, number, 1, InputTokens=900, OutputTokens=40, Start=start, End=end, **other))
        yield _batch(rows)


def wide_trace(spans: int) -> Iterator[pa.RecordBatch]:
    """Every call below one agent."""
    for begin in range(0, spans, spans // 100):
        yield _batch([_call(number, 0, number) for number in range(begin, begin + spans // 100)])


def deep_chain(_spans: int) -> Iterator[pa.RecordBatch]:
    """Calls nested in each other, in one batch."""
    yield _batch([_call(number, 0, number, ParentSpanId=_id(number - 1) if number else "") for number in range(_CHAIN)])


def _id(number: int) -> str:
    return f"{number + 1:016x}"


def _call(number: int, trace: int, place: int, **other: object) -> dict[str, object]:
    """A span of a run: the agent at place 0, or else a call below it."""
    is_agent = place == 0
    row: dict[str, object] = {
        "Project": "default",
        "TraceId": f"{trace * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "SpanId": _id(number),
        "ParentSpanId": "" if is_agent else _id(number - place),
        "ServiceName": "support-agent",
        "ScopeName": "opentelemetry.instrumentation.genai",
        "ResponseId": "" if is_agent else f"chatcmpl-{number:012d}",
        "Start": number * 1_000_000,
        "End": number * 1_000_000 + 800_000_000,
        "Version": number,
        "Reports": True,
        "IsCall": not is_agent,
        "Root": is_agent,
        "InputTokens": 900 + number % 300,
        "OutputTokens": 40 + number % 80,
        "Detail": number % 3,
        "RequestModel": model_number("gpt-4o"),
        "ResponseModel": model_number("gpt-4o-2024-08-06"),
        "Provider": provider_number("openai"),
        "Billed": None,
    }
    return row | other


def _batch(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=SEEN_SCHEMA)


def _cost(kind: Kind, batches: list[pa.RecordBatch]) -> float:
    """CPU microseconds a span in the second half of the batches, or in the only one."""
    judge = kind(sum(batch.num_rows for batch in batches) // 2)
    measured = batches[len(batches) // 2 :]
    _judge(judge, batches[: len(batches) // 2])
    begin = time.process_time()
    _judge(judge, measured)
    return (time.process_time() - begin) / sum(int(batch.num_rows) for batch in measured) * 1e6


def _judge(judge: traces.RecentTraces | _traces.RecentTraces, batches: list[pa.RecordBatch]) -> None:
    for batch in batches:
        judge.forgotten(batch)
        judge.confirm(batch, judge.absorb(batch))


def _memory(spans: int) -> float:
    """Resident bytes a span, with the filter of traces seen."""
    batches = list(new_traces(2 * spans))
    before = _resident()
    judge = _traces.RecentTraces(spans)
    _judge(judge, batches)
    return (_resident() - before) / spans


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of a file system
        return int(file.read().split()[1]) * 4096


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

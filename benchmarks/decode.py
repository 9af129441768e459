"""What decoding and scanning cost: CPU microseconds a span and GB/s of request bytes, the best of some passes.

python -m benchmarks.decode [REPEATS]

Over requests of 512, 16 and 1 GenAI spans (benchmarks.corpus), 4,096 spans at a time as in the drain, and over
every captured payload at once.
"""

import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import corpus
from collector.admit._scan import scan
from collector.admit.limits import RequestLimits
from collector.decode import _kernel, reference
from collector.model.envelope import Envelope, Signal
from collector.wire.otlp import REQUESTS, parse
from tests.support import captured

_SPANS = 4096


def main(repeats: int = 15) -> None:
    print(f"{'payloads':24}{'bytes/span':>11}" + "".join(f"{name:>22}" for name in _WAYS))
    for size in (512, 16, 1):
        _report(f"corpus, {size} a request", corpus.requests(_SPANS // size, size), repeats)
    _report("captured", [body for case in captured.CASES for body in captured.payloads(case)], repeats)


def _report(name: str, bodies: Sequence[bytes], repeats: int) -> None:
    envelopes = [Envelope("default", time.time_ns(), 0, body) for body in bodies]
    spans = _kernel.decode(envelopes).num_rows
    size = sum(map(len, bodies))
    cells = []
    for work in _WAYS.values():
        seconds = min(_seconds(work, envelopes) for _ in range(repeats))
        cells.append(f"{seconds / spans * 1e6:9.2f} us {size / seconds / 1e9:5.2f} GB/s")
    print(f"{name:24}{size / spans:11.0f}" + "".join(f"{cell:>22}" for cell in cells))


def _seconds(work: Callable[[Sequence[Envelope]], object], envelopes: Sequence[Envelope]) -> float:
    begin = time.process_time()
    done = work(envelopes)
    del done  # giving the memory back is part of it
    return time.process_time() - begin


def _parse(envelopes: Sequence[Envelope]) -> None:
    for envelope in envelopes:
        parse(REQUESTS[Signal.TRACES], envelope.payload)


def _scan(envelopes: Sequence[Envelope]) -> None:
    for envelope in envelopes:
        scan(envelope.payload, LIMITS.max_items, LIMITS.max_elements)


LIMITS = RequestLimits()
_WAYS: dict[str, Callable[[Sequence[Envelope]], object]] = {
    "kernel": _kernel.decode,
    "reference": reference.decode,
    "scan": _scan,
    "protobuf parse": _parse,
}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

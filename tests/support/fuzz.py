"""Odd and damaged requests without end: the native modules agree with the reference on each.

    python -m tests.support.fuzz SECONDS [SEED]

prints how many requests it tried. A request on which they differ is left in the file it names; the last one tried is
there as well when the process dies of it, as under `make asan`.
"""

import ctypes
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.support import captured, odd
from tests.support.native import check_decode, check_scan, envelopes, kernel, scan

LAST = Path(tempfile.gettempdir()) / "spanmeter-fuzz.pb"
_KEPT = 200  # requests that later ones are made of


def fuzz(seconds: float, seed: int) -> int:
    """Try requests for so long. Returns their number; raises AssertionError on the first difference."""
    until = time.monotonic() + seconds
    tried = 0
    with LAST.open("wb") as last:
        for body in _bodies(Random(seed)):
            if time.monotonic() > until:
                return tried
            tried += 1
            last.seek(0)
            last.write(body)
            last.truncate()
            last.flush()
            _try(body)
    raise AssertionError("There is always another request.")


def _try(body: bytes) -> None:
    # Memory of exactly this size, where `bytes` have one more: a sanitizer sees every read beyond it.
    exact: Any = memoryview((ctypes.c_char * len(body)).from_buffer_copy(body)).cast("B")
    if scan()(exact) is not None:
        kernel()(envelopes(exact))
    check_decode(body)
    check_scan(body)


def _bodies(random: Random) -> Iterator[bytes]:
    kept = [body for case in captured.CASES for body in captured.payloads(case) if len(body) < 20_000]
    while True:
        body = odd.request(random) if random.random() < 0.5 else random.choice(kept)
        for _ in range(random.randrange(3)):
            body = odd.damaged(random, body)
        if len(kept) < _KEPT:
            kept.append(body)
        else:
            kept[random.randrange(_KEPT // 2, _KEPT)] = body
        yield body


if __name__ == "__main__":
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    print(f"Seed {seed}; the last request is kept in {LAST}.", flush=True)
    print(f"{fuzz(float(sys.argv[1]), seed)} requests, no difference.")

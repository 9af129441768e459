"""What finding the facts of a span costs, over every captured payload: CPU microseconds a span, by case and in all.

python -m benchmarks.normalise [REPEATS]
"""

import statistics
import sys
import time

from collector.enrich.conventions.reader import Conventions, load
from collector.model.facts import SpanView
from collector.schema import schema_root
from tests.support.captured import CASES, spans


def main(repeats: int = 20) -> None:
    conventions = load(schema_root())
    everything: list[SpanView] = []
    print(f"{'case':36}{'spans':>7}{'attributes':>12}{'us/span':>9}")
    for case in CASES:
        views = [span.view for span in spans(case)]
        attributes = statistics.mean(len(view.attributes) for view in views)
        print(f"{case:36}{len(views):7}{attributes:12.1f}{_cost(conventions, views, repeats):9.1f}")
        everything += views
    print(f"{'all':36}{len(everything):7}{'':12}{_cost(conventions, everything, repeats):9.1f}")
    fresh = load(schema_root())
    print(f"first sight of every shape: {_cost(fresh, everything, 1):.1f} us/span")


def _cost(conventions: Conventions, views: list[SpanView], repeats: int) -> float:
    """CPU microseconds a span, the best of `repeats` passes."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        for view in views:
            conventions.normalise(view)
        best = min(best, time.process_time() - begin)
    return best / len(views) * 1e6


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))

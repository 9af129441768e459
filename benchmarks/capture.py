"""What capture costs: CPU microseconds a span at the door, the best of some passes, in one run.

python -m benchmarks.capture [REPEATS]

From the request's bytes to those that are spooled (validation, and what is withheld), over requests of 512 GenAI spans
(benchmarks.corpus) and over every captured payload: without a capture section, with the policy `metadata`, with `off`,
with ten rules none of which matches, and with ten of which the e-mail rule matches in the captured payloads.
"""

import sys
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from benchmarks import corpus
from collector.admit.validate import validate
from collector.capture import Capture
from collector.config import CaptureConfig
from collector.decode import decode
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.model.envelope import Encoding, Envelope, Signal
from collector.schema import schema_root
from collector.telemetry import Metrics
from tests.support import captured

_SPANS = 2048
_OWN_RULES = [{"name": f"own-{number}", "pattern": rf"\b(?i:ticket|case)-{number}[0-9]{{5}}\b"} for number in range(6)]
_BUILTIN = [{"builtin": name} for name in ("api_keys", "bearer_tokens", "card_numbers")]
_WAYS = {
    "none": {},
    "metadata": {"default": "metadata"},
    "off": {"default": "off"},
    "ten rules, no match": {"redact": [*_OWN_RULES, *_BUILTIN, {"name": "id", "pattern": r"\bXQ[0-9]{9}\b"}]},
    "ten rules": {"redact": [*_OWN_RULES, *_BUILTIN, {"builtin": "email"}]},
}


def main(repeats: int = 5) -> None:
    families = load(schema_root()).families
    keeper, agents = KeptFacts(families, schema_root()), agent_keys(families)
    ways = {
        name: Capture(CaptureConfig.model_validate(way), lambda: (keeper, agents), Metrics(CollectorRegistry()))
        for name, way in _WAYS.items()
    }
    print(f"{'payloads':24}{'bytes/span':>11}" + "".join(f"{name:>22}" for name in ways))
    _report("corpus, 512 a request", corpus.requests(_SPANS // 512, 512), ways, repeats)
    _report("captured", [body for case in captured.CASES for body in captured.payloads(case)], ways, repeats)


def _report(name: str, bodies: Sequence[bytes], ways: dict[str, Capture], repeats: int) -> None:
    spans = decode([Envelope("default", time.time_ns(), 0, body) for body in bodies]).num_rows
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for way, capture in ways.items():
            best[way] = min(best[way], _seconds(_at_the_door(capture), bodies))
    cells = "".join(f"{f'{seconds / spans * 1e6:.2f} us':>22}" for seconds in best.values())
    print(f"{name:24}{sum(map(len, bodies)) / spans:11.0f}{cells}")


def _at_the_door(capture: Capture) -> Callable[[bytes], bytes]:
    def work(body: bytes) -> bytes:
        return capture.apply(Signal.TRACES, "default", validate(Signal.TRACES, body, Encoding.PROTOBUF).payload)

    return work


def _seconds(work: Callable[[bytes], bytes], bodies: Sequence[bytes]) -> float:
    begin = time.process_time()
    for body in bodies:
        work(body)
    return time.process_time() - begin


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

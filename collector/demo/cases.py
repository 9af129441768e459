"""The demo's agent as the command of a gate.

    spanmeter gate run -f docs/examples/gate.yaml -- python -m collector.demo.cases

It exports to where OTEL_EXPORTER_OTLP_ENDPOINT leads, as any agent does.
"""

import os
import sys
from typing import Final

from collector.demo.agent import Agent
from collector.demo.model_server import model_server

CASES: Final = ("one free day", "a weekend", "with children")


def main() -> int:
    """Run every case once; the exit code."""
    target = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not target:
        print("OTEL_EXPORTER_OTLP_ENDPOINT is not set: run this as the command of a gate.", file=sys.stderr)
        return 2
    with model_server() as model_url:
        agent = Agent(model_url, "", target.rstrip("/"))
        try:
            for case in CASES:
                agent.run(case)
        finally:
            agent.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

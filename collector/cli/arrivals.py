"""Waiting for what a program sends, and saying what arrived, what it cost and what is missing."""

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import TypeAdapter

from collector.cli.daemon import ask
from collector.connect.findings import Finding, arrived_of, calls_of, is_complete, problems, signals_of
from collector.connect.programs import Program
from collector.errors import Unavailable
from collector.model.arrivals import ArrivedService, RefusedRequests
from collector.web.times import rfc3339

_POLL_SECONDS: Final = 1.0
# After the first sign of life; exporters send their signals one after the other.
_PATIENCE_SECONDS: Final = 15.0
# Signals of one call come one after the other, and some change what it costs.
_SETTLED_SECONDS: Final = 3.0
_SERVICES: Final = TypeAdapter(list[ArrivedService])
_REFUSED: Final = TypeAdapter(list[RefusedRequests])


def await_arrivals(
    program: Program, http: str, options: argparse.Namespace, *, web: str, since: int, content: bool
) -> int:
    """Wait for the first priced call, `options.wait` seconds at most; 0 when it came.

    Raises Rejected where the daemon does not answer such questions, Unavailable where it answers none at all.
    """
    print(f"Waiting for {program.title}, {options.wait} s at most.", flush=True)
    began = changed = time.monotonic()
    deadline = began + options.wait
    before: object = None
    while True:
        try:
            arrived, refused = _look(program, options, web, since)
        except Unavailable:
            if time.monotonic() >= deadline:
                raise
            arrived, refused = [], []
        now = time.monotonic()
        if arrived or refused:
            deadline = min(deadline, now + _PATIENCE_SECONDS)
        if (arrived, refused) != before:
            before, changed = (arrived, refused), now
        if now >= deadline or (is_complete(arrived) and now - changed >= _SETTLED_SECONDS):
            break
        time.sleep(_POLL_SECONDS)
    _say(arrived, list(problems(program, arrived, refused, http, content=content)), web, changed - began)
    return 0 if is_complete(arrived) else 1


def _look(
    program: Program, options: argparse.Namespace, web: str, since: int
) -> tuple[list[ArrivedService], list[RefusedRequests]]:
    path = f"/api/v1/arrivals?{urlencode({'since': rfc3339(since)})}"
    services, refused = arrivals_of(ask(web, path, token_variable=options.token_env))
    return arrived_of(program, services, options.service or ""), refused


def arrivals_of(answer: Mapping[str, Any]) -> tuple[list[ArrivedService], list[RefusedRequests]]:
    """What an answer to `list_arrivals` says."""
    return _SERVICES.validate_python(answer["services"]), _REFUSED.validate_python(answer["refused"])


def _say(arrived: Sequence[ArrivedService], found: Sequence[Finding], web: str, seconds: float) -> None:
    for one in arrived:
        print(f"After {seconds:.0f} s from {one.name or 'a service without a name'}: {signals_of(one)}.")
        if one.calls:
            print(f"  {calls_of(one)}")
        if one.run:
            print(f"  {web}/runs/{one.run}")
    for finding in found:
        print(finding.text)
        if finding.mend:
            print("".join(f"  {line}\n" for line in finding.mend.split("\n")), end="")

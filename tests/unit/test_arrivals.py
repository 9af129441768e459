"""What was refused, from the metrics of every process, and what is said of it."""

import pytest

from collector.connect.findings import problems
from collector.connect.programs import programs
from collector.model.arrivals import ArrivedService, RefusedRequests
from collector.web.arrivals import refused_requests

NAME = "spanmeter_receiver_last_refused_timestamp_seconds"
CODEX = programs()["codex"]


def test_of_several_processes_the_latest_counts() -> None:
    labels = 'reason="unauthenticated",signal="logs",transport="http"'
    text = (
        f"# HELP {NAME} When.\n# TYPE {NAME} gauge\n"
        f'{NAME}{{{labels},worker="0"}} 5\n{NAME}{{{labels},worker="1"}} 7.5\nother_metric{{{labels}}} 9\n'
    )
    assert refused_requests(text) == [RefusedRequests("logs", "http", "unauthenticated", 7.5)]
    assert refused_requests("") == []


REFUSED = {
    ("http", "unauthenticated"): ("(401)", "x-api-key"),
    ("grpc", "forbidden"): ("(403)", "x-api-key"),
    ("http", "unsupported_media_type"): ("(415)", 'protocol = "binary"'),
    ("http", "malformed"): ("(400)", 'protocol = "binary"'),
    ("http", "spool_full"): ("refused: spool_full", ""),
}


@pytest.mark.parametrize("case", REFUSED, ids="-".join)
def test_a_refusal_is_said_once_with_what_mends_it(case: tuple[str, str]) -> None:
    transport, reason = case
    refused = [RefusedRequests(signal, transport, reason, 1.0) for signal in ("logs", "traces")]
    (finding,) = problems(CODEX, [], refused, "http://h:4318", content=False)
    words, mend = REFUSED[case]
    assert words in finding.text
    assert mend in finding.mend
    assert bool(finding.mend) is bool(mend)


CALL = {"name": "codex_exec", "log_records": 9, "calls": 1, "priced_calls": 1}


@pytest.mark.parametrize(
    ("with_content", "on", "words"),
    [(0, False, "If they are wanted"), (0, True, "though they are to be sent"), (3, True, ""), (3, False, "")],
)
def test_whether_content_was_sent(with_content: int, on: bool, words: str) -> None:
    arrived = [ArrivedService(**CALL, with_content=with_content)]  # type: ignore[arg-type]
    found = [*problems(CODEX, arrived, [], "http://h:4318", content=on)]
    assert [words in one.text for one in found] == ([True] if words else [])

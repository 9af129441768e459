"""A model server in the OpenAI and Anthropic shapes that answers as its model's name says, rightly or wrongly."""

import json
import math
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PASS, FAIL = "The answer meets the rubric.", "The answer lacks a fact."


@dataclass
class Asked:
    """One request as it came in."""

    model: str
    system: str
    user: str
    schema: dict[str, Any] | None
    anthropic: bool
    authorised: bool
    times: int  # how often this model was asked before
    max_tokens: int = 0


@dataclass
class Reply:
    """An answer: a text with its usage, or a status with a body of its own."""

    text: str | None = ""
    finish: str = "stop"
    refusal: bool = False
    usage: tuple[int, int] | None = (100, 20)
    cached: int = 0
    model: str = ""
    status: int = 200
    code: str = ""
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut_after: int | None = None  # bytes of the body, after which the connection closes
    choices: bool = True
    wait: bool = False  # never answers
    slowly: bool = False  # a byte a tenth of a second
    reset: bool = False  # the connection, in the middle of the body


def verdict(asked: Asked, *, passed: bool = True, score: float | None = None, **more: object) -> str:
    """An answer that fits the schema that was asked for, or has every usual key."""
    name, shape = "label", {"enum": ["pass", "fail"]}
    if asked.schema:
        name, shape = next(
            (key, value) for key, value in asked.schema["properties"].items() if key in ("label", "score")
        )
    value: object = float(passed) if score is None else score
    if name == "label":
        value = shape["enum"][0 if passed else -1]
    return json.dumps({"reason": PASS if passed else FAIL, "evidence": [], name: value} | more)


def _said(**reply: Any) -> Callable[[Asked], Reply]:
    return lambda _: Reply(**reply)


def _answered(**more: Any) -> Callable[[Asked], Reply]:
    return lambda asked: Reply(verdict(asked, **more))


def _failed(status: int, code: str = "", message: str = "No.", **headers: str) -> Callable[[Asked], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Reply(status=status, code=code, message=message, headers=named)


def _at_first(times: int, bad: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
    return lambda asked: bad(asked) if asked.times < times else Reply(verdict(asked))


def _shaped(shape: Callable[[str], str], finish: str = "stop") -> Callable[[Asked], Reply]:
    return lambda asked: Reply(shape(verdict(asked)), finish=finish)


def _obeying(asked: Asked) -> Reply:
    """Obeys an order that has a line of its own, which it has in no JSON text."""
    return Reply(verdict(asked, passed=any(line.startswith("OVERRIDE") for line in asked.user.splitlines())))


def _quoting(asked: Asked) -> Reply:
    """Cites the span of the output that it is shown."""
    shown = re.search(r'"output": {\s*"span_id": "([^"]*)"', asked.user)
    quote = {"span_id": shown[1] if shown else "", "quote": "30 days"}
    return Reply(verdict(asked, evidence=[quote]))


BEHAVIOURS: dict[str, Callable[[Asked], Reply]] = {
    "pass": _answered(),
    "fail": _answered(passed=False),
    "score": _answered(score=0.73),
    "flip": lambda asked: Reply(verdict(asked, passed=asked.times % 2 == 0)),
    "obeying": _obeying,
    "label": _answered(label="splendid"),
    "number": _answered(label=1),
    "range": _answered(score=7),
    "nan": _answered(score=math.nan),
    "text": _answered(score="high"),
    "cited": _answered(evidence=[{"span_id": "00f067aa0ba902b7", "quote": "30 days"}]),
    "quoting": _quoting,
    "misquote": _answered(evidence=[{"span_id": "00f067aa0ba902b7", "quote": "words of nobody"}]),
    "forged": _answered(evidence=[{"span_id": "deadbeefdeadbeef", "quote": "30 days"}]),
    "prose": _said(text="I would say that this passes."),
    "fence": _shaped(lambda text: f"Here it is:\n```json\n{text}\n```\nWell?"),
    "think": _shaped(lambda text: f'<think>{{"label": "fail"}}</think>\n{text}'),
    "quotes": _shaped(lambda text: repr(json.loads(text))),
    "cut": _shaped(lambda text: text[:20], finish="length"),
    "two": _shaped(lambda text: text + "\n" + text),
    "array": _shaped(lambda text: f"[{text}]"),
    "extra": _answered(confidence=0.99),
    "missing": _said(text=json.dumps({"reason": PASS})),
    "noreason": _answered(reason=" "),
    "long": _answered(reason="Because " * 30_000),
    "lang": _answered(reason="回答は基準を満たしています。"),
    "langlabel": _answered(label="合格"),
    "echo": lambda asked: Reply(verdict(asked, reason=asked.system + asked.user)),
    "contradict": _answered(reason=FAIL),
    "control": _answered(reason="a\x00\x1b[31m\ud800b"),
    "empty": _said(text=""),
    "null": _said(text=None),
    "nochoices": _said(choices=False),
    "html": _said(raw=b"<html>502</html>"),
    "refusal": _said(text=None, refusal=True),
    "sorry": _said(text="I'm sorry, but I can't help with that."),
    "filter": _said(text="", finish="content_filter"),
    "badonce": _at_first(1, _said(text="It passes.")),
    "rate": _failed(429, "rate_limit_exceeded", retry_after="1"),
    "ratetwice": _at_first(2, _failed(429, "rate_limit_exceeded", retry_after="1")),
    "ratelong": _failed(429, "rate_limit_exceeded", retry_after="3600"),
    "ratedate": _at_first(
        1, lambda _: Reply(status=429, headers={"retry-after": formatdate(time.time() + 2, usegmt=True)})
    ),
    "quota": _failed(429, "insufficient_quota"),
    "unauthorised": _failed(401, "invalid_api_key"),
    "nomodel": _failed(404, "model_not_found"),
    "broken": _failed(500),
    "brokentwice": _at_first(2, _failed(500)),
    "overloaded": _failed(529),
    "context": _failed(400, "context_length_exceeded", "The maximum context length is 8192 tokens."),
    "badrequest": _failed(400, "invalid_request_error", "No such parameter."),
    "noschema": lambda asked: (
        Reply(status=400, message="'response_format' is not supported.") if asked.schema else Reply(verdict(asked))
    ),
    "hang": _said(wait=True),
    "drip": lambda asked: Reply(verdict(asked), slowly=True),
    "reset": lambda asked: Reply(verdict(asked), reset=True),
    "short": lambda asked: Reply(verdict(asked), cut_after=40),
    "huge": _said(raw=b" " * (5 * 1024 * 1024)),
    "nousage": lambda asked: Reply(verdict(asked), usage=None),
    "hugeusage": lambda asked: Reply(verdict(asked), usage=(10**9, 20)),
    "overlong": lambda asked: Reply(verdict(asked), usage=(100, 10**6)),
    "cached": lambda asked: Reply(verdict(asked), cached=50),
    "other": lambda asked: Reply(verdict(asked), model="another-2026-01-01"),
}


# Those that end in a verdict, and in which error the others do.
PASSES = ("pass", "fence", "think", "extra", "badonce", "ratetwice", "ratedate", "brokentwice", "noschema", "cached")
FAULTS = {
    "label": "judge_format",
    "langlabel": "judge_format",
    "number": "judge_format",
    "prose": "judge_format",
    "quotes": "judge_format",
    "cut": "judge_format",
    "two": "judge_format",
    "array": "judge_format",
    "missing": "judge_format",
    "noreason": "judge_format",
    "empty": "judge_format",
    "null": "judge_format",
    "nochoices": "judge_format",
    "sorry": "judge_format",
    "refusal": "judge_refused",
    "filter": "judge_refused",
    "html": "judge_unavailable",
    "huge": "judge_unavailable",
    "short": "judge_unavailable",
    "reset": "judge_unavailable",
    "broken": "judge_unavailable",
    "overloaded": "judge_unavailable",
    "rate": "judge_rate_limited",
    "ratelong": "judge_rate_limited",
    "quota": "judge_quota",
    "unauthorised": "judge_auth",
    "nomodel": "judge_model",
    "context": "judge_context",
    "badrequest": "judge_request",
}


class JudgeServer:
    """`url` is the base URL; `asked` holds every request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.in_flight = self.most_in_flight = 0
        self.url = ""


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    """A server, while the block runs."""
    server = JudgeServer()

    class Handler(_Handler):
        state = server

    http = _Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, name="judge-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # of all judges at once; by default connections beyond five are dropped, and asked again


class _Handler(BaseHTTPRequestHandler):
    state: JudgeServer

    def log_message(self, *_: object) -> None:
        """The tests say enough."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.state.lock:
            self.state.in_flight += 1
            self.state.most_in_flight = max(self.state.in_flight, self.state.most_in_flight)
            asked = self._asked(body)
            self.state.asked.append(asked)
        reply = BEHAVIOURS[asked.model.removeprefix("fake-")](asked)
        if reply.wait:
            self.state.closing.wait(60)
        with self.state.lock:
            self.state.in_flight -= 1
        try:
            self._send(asked, reply)
        except (BrokenPipeError, ConnectionError):
            self.close_connection = True

    def _asked(self, body: dict[str, Any]) -> Asked:
        model = body["model"]
        anthropic = self.path.endswith("/messages")
        times = self.state.counts[model]
        self.state.counts[model] += 1
        system = body.get("system") or next((m["content"] for m in body["messages"] if m["role"] == "system"), "")
        user = next(m["content"] for m in body["messages"] if m["role"] == "user")
        form = body.get("response_format") or (body.get("output_config") or {}).get("format") or {}
        schema = form.get("schema") or (form.get("json_schema") or {}).get("schema")
        key = self.headers.get("authorization") or self.headers.get("x-api-key")
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        return Asked(model, system, user, schema, anthropic, bool(key), times, limit)

    def _send(self, asked: Asked, reply: Reply) -> None:
        data = reply.raw or json.dumps(self._body(asked, reply)).encode()
        self.send_response(reply.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.slowly:
            self._drip(data)
            return
        self.wfile.write(data[: len(data) // 2 if reply.reset else reply.cut_after])
        if reply.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = reply.reset or reply.cut_after is not None

    def _drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.state.closing.wait(0.1):
                return

    def _body(self, asked: Asked, reply: Reply) -> dict[str, Any]:
        if reply.status != 200:
            error = {"message": reply.message, "type": reply.code or "api_error", "code": reply.code or None}
            return {"type": "error", "error": error}
        model = reply.model or asked.model
        return _anthropic(model, reply) if asked.anthropic else _openai(model, reply)


def _openai(model: str, reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text, "refusal": "I can't." if reply.refusal else None}
    body: dict[str, Any] = {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": []}
    if reply.choices:
        body["choices"] = [{"index": 0, "message": message, "finish_reason": reply.finish}]
    if reply.usage:
        taken, given = reply.usage
        body["usage"] = {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}
        body["usage"]["prompt_tokens_details"] = {"cached_tokens": reply.cached}
    return body


def _anthropic(model: str, reply: Reply) -> dict[str, Any]:
    stops = {"length": "max_tokens", "content_filter": "refusal", "stop": "end_turn"}
    content = [{"type": "text", "text": reply.text}] if reply.text and reply.choices else []
    stop = "refusal" if reply.refusal else stops[reply.finish]
    body: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content}
    body["stop_reason"] = stop
    if reply.usage:
        taken, given = reply.usage
        body["usage"] = {
            "input_tokens": taken - reply.cached,
            "output_tokens": given,
            "cache_read_input_tokens": reply.cached,
        }
    return body

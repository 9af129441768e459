"""Secrets planted in every place of a request where content can stand."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.otlp import attributes, field_bytes, request, span
from tests.support.signals import log_request, metric_request, number, record, total

Secret = Callable[[], str]


def messages(text: str) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])


def traces(secret: Secret, service: str) -> Any:
    """A chat with a secret in 31 places that are not names, and a resource and a scope without spans with three more."""
    usage = {"prompt_tokens": 7, "note": f"a {secret()} note"}
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": messages(secret()),
        "gen_ai.output.messages": messages(secret()),
        "gen_ai.system_instructions": f"You are {secret()}",
        "gen_ai.tool.definitions": json.dumps([{"name": "t", "description": secret()}]),
        "gen_ai.tool.call.arguments": json.dumps({"path": secret()}),
        "gen_ai.tool.call.result": f"result {secret()}",
        "input.value": f"input {secret()}",
        "output.value": json.dumps({"id": "chatcmpl-1", "usage": usage, "text": secret()}),
        "llm.input_messages.0.message.content": secret(),
        "prompt": secret(),
        "my.own": secret(),
        f"my key {secret()}": "value",
        "nested": {"a": {"b": [secret()]}},
        "listed": ["x", secret()],
        "raw": secret().encode(),
        "escaped": '{"text":"' + "".join(f"\\u{ord(letter):04x}" for letter in secret()) + '"}',
    }
    one = span(said, name="chat gpt-4o", trace_state=f"vendor={secret()}")
    one.status.code, one.status.message = 2, f"failed: {secret()}"
    failure = one.events.add(name="exception", time_unix_nano=1)
    failure.attributes.extend(
        attributes({"exception.type": "E", "exception.message": secret(), "exception.stacktrace": f"at {secret()}"})
    )
    told = one.events.add(name=f"said {secret()}", time_unix_nano=1)
    told.attributes.extend(attributes({"gen_ai.event.content": secret(), "else": secret()}))
    link = one.links.add(trace_id=bytes(15) + b"\x02", span_id=bytes(7) + b"\x02", trace_state=f"v={secret()}")
    link.attributes.extend(attributes({"why": secret()}))
    message = request(one, resource={"service.name": service, "process.command_line": f"run {secret()}"})
    scope = message.resource_spans[0].scope_spans[0]
    scope.scope.attributes.extend(attributes({"scoped": secret()}))
    scope.schema_url = f"https://example.com/{secret()}"
    message.resource_spans[0].schema_url = f"https://example.com/{secret()}"
    message.MergeFromString(message.SerializeToString() + field_bytes(1000, secret().encode()))
    del message.resource_spans[1:]
    message.resource_spans[0].scope_spans.add().scope.attributes.extend(attributes({"of no span": secret()}))
    empty = message.resource_spans.add(schema_url=f"https://example.com/{secret()}")
    empty.resource.attributes.extend(attributes({"service.name": service, "of no scope": secret()}))
    return message


def logs(secret: Secret, service: str) -> Any:
    """Records with a secret in 8 places that are not names, and a session of Claude Code."""
    plain = record(f"body {secret()}", {"prompt": secret(), "my.own": secret()}, event_name=f"said {secret()}")
    nested = record({"a": [{"b": secret()}], "c": secret()})
    session = {"event.name": "api_request", "session.id": "s-1", "input_tokens": 5, "model": "m", "prompt": secret()}
    found: Any = log_request(
        plain, nested, record("claude_code.api_request", session), resource={"service.name": service}
    )
    found.resource_logs[0].resource.attributes.extend(attributes({"my.resource": secret()}))
    return found


def metrics(secret: Secret, service: str) -> Any:
    """A sum with a secret in 5 places that are not names."""
    point = number(1.5, {"my.own": secret()})
    point.exemplars.add(as_double=1.0).filtered_attributes.extend(attributes({"trace of": secret()}))
    one = total(point, name="my.sum", description=f"counts {secret()}")
    one.metadata.extend(attributes({"about": secret()}))
    found = metric_request(one, resource={"service.name": service})
    found.resource_metrics[0].resource.attributes.extend(attributes({"my.resource": secret()}))
    return found


def numbered(prefix: str) -> tuple[Secret, list[str]]:
    """Secrets that no rule knows, and the list of those that were planted."""
    planted: list[str] = []
    numbers: Iterator[int] = itertools.count()

    def secret() -> str:
        planted.append(f"{prefix}q7zK{next(numbers):03}Xw")
        return planted[-1]

    return secret, planted


def on_disk(directory: Path) -> bytes:
    """The content of every file; the store may remove some meanwhile."""
    found = []
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            found += [path.read_bytes()] if path.is_file() else []
    return b"\n".join(found)

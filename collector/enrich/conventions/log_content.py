"""Content of model calls that comes in log records which name the call's span, as convention files say it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict

# What a message says beside its content, and where it stands among the others.
_INDEX: Final = "gen_ai.message.index"
_BESIDE: Final = frozenset({"role", "id", "index", "name", "finish_reason", "event.name", _INDEX})


class LogContentRules(BaseModel):
    """The records of one family.

    - `prefix` begins the names of the events.
    - `input` and `output` are attributes that become those of the span; so do `others`.
    - `input_messages` and `output_messages`: events of which each is one message, with its role. What it says is its
      body, or in its body the member `message`. They are put together in the order of their times.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str
    input: str
    output: str
    others: tuple[str, ...] = ()
    input_messages: dict[str, str] = {}
    output_messages: dict[str, str] = {}

    def content(self, records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """The attributes that records of one span, in the order of their times, say it has; of equal ones the last."""
        told: dict[str, str] = {}
        messages: dict[str, list[dict[str, Any]]] = {self.input: [], self.output: []}
        for record in records:
            told |= {key: text for key, text in record["LogAttributes"] if text and key in self.attributes}
            event = record["Event"]
            for key, roles in ((self.input, self.input_messages), (self.output, self.output_messages)):
                if event in roles and (message := _message(roles[event], record)):
                    messages[key].append(message)
        put_together = {key: _document(found) for key, found in messages.items() if found}
        return put_together | told

    @property
    def attributes(self) -> tuple[str, ...]:
        """What content is told under."""
        return (self.input, self.output, *self.others)


def continues(text: str, earlier: str) -> bool:
    """Whether `text` is a list of messages that has all of those of `earlier`, and more."""
    now, before = _read(text), _read(earlier)
    return (
        isinstance(now, list)
        and isinstance(before, list)
        and len(now) > len(before)
        and all(message in now for message in before)
    )


def _message(role: str, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """None when no content was recorded."""
    body = _read(record["Body"])
    said = dict(body) if isinstance(body, dict) else {"content": record["Body"]}
    inner = said.pop("message", None)
    said |= inner if isinstance(inner, dict) else {"content": inner} if inner else {}
    if not any(value for key, value in said.items() if key not in _BESIDE):
        return None
    said.pop("event.name", None)
    return {"role": role, **said}


def _read(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None


def _document(messages: list[dict[str, Any]]) -> str:
    ordered = sorted(messages, key=_index) if all(_INDEX in message for message in messages) else messages
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"))


def _index(message: Mapping[str, Any]) -> int:
    index = message[_INDEX]
    return index if isinstance(index, int) else 0

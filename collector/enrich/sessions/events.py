"""Log records as the events of a session."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from collector.enrich.conventions.events import EventRules, Role, matches
from collector.enrich.conventions.families import Family

_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Shared:
    """What the records of one process have in common."""

    service: str
    resource: tuple[tuple[str, str], ...]
    schema_url: str
    version: str


@dataclass(frozen=True)
class Event:
    """One record with a role. Times are Unix nanoseconds; `key` is the record's fingerprint."""

    family: str
    rules: EventRules
    role: Role
    name: str
    project: str
    session: str
    prompt: str
    trace: str
    span: str
    at: int
    received: int
    key: int
    attributes: Mapping[str, str]
    shared: Shared

    @property
    def order(self) -> tuple[int, int]:
        return self.at, self.key

    def first(self, keys: Sequence[str]) -> str:
        """The attribute under the first of `keys` that has one."""
        return next((found for key in keys if (found := self.attributes.get(key))), "")

    @cached_property
    def call_id(self) -> str:
        return self.first(self.rules.call_id)

    @cached_property
    def asked_by(self) -> str:
        return self.first(self.rules.asked_by)

    @cached_property
    def tool_id(self) -> str:
        return self.first(self.rules.tool_id)

    @cached_property
    def agent(self) -> str:
        """Which sub-agent it is of; empty for the main one."""
        return self.first(self.rules.agent) if matches(self.rules.sub_agent, self.attributes) else ""

    @cached_property
    def begin(self) -> int:
        """When it began that this event tells the end of."""
        try:
            lasted = float(self.first(self.rules.duration_ms) or 0)
        except ValueError:
            return self.at
        return max(self.at - int(lasted * _MILLISECOND), 0) if 0 < lasted < float("inf") else self.at

    @cached_property
    def failed(self) -> bool:
        return matches(self.rules.failed, self.attributes)

    @cached_property
    def denied(self) -> bool:
        return matches(self.rules.denied, self.attributes)


class Sources:
    """The families whose logs tell of sessions."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._rules = {family.family: family.events for family in families if family.events}
        self.names = self._named(*Role)
        self.small = self._named(*Role, large=False)
        self.prompts = self._named(Role.PROMPT)

    def _named(self, *roles: Role, large: bool = True) -> tuple[str, ...]:
        """Every name that an event of these roles may have, those of events that may be large too if `large`."""
        return tuple(sorted({name for rules in self._rules.values() for name in rules.names(*roles, large=large)}))

    def events(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
        """The events among records of `otel_logs`, whose times are integers in `At` and `Received`."""
        for row in rows:
            for family, rules in self._rules.items():
                if role := rules.role(row["Event"], row["ScopeName"]):
                    event = _event(family, rules, role, row)
                    if role is not Role.CALL or all(event.attributes.get(key) for key in rules.required):
                        yield event
                    break


def sources(families: Iterable[Family]) -> Sources:
    """The sources that the families describe."""
    return Sources(families)


def _event(family: str, rules: EventRules, role: Role, row: Mapping[str, Any]) -> Event:
    names = rules.renamed(row["Event"])
    attributes = {names.get(key, key): value for key, value in row["LogAttributes"] if value not in rules.redacted}
    shared = Shared(row["ServiceName"], tuple(row["ResourceAttributes"]), row["ResourceSchemaUrl"], row["ScopeVersion"])
    return Event(
        family=family,
        rules=rules,
        role=role,
        name=row["Event"],
        project=row["Project"],
        session=row["SessionId"],
        prompt=row["PromptId"],
        trace=row["TraceId"],
        span=row["SpanId"],
        at=row["At"],
        received=row["Received"],
        key=row["RowKey"],
        attributes=attributes,
        shared=shared,
    )

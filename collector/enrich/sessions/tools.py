"""The runs of tools in a turn: each one action, of its decision and its result."""

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from collector.enrich.conventions.events import EventRules, Role
from collector.enrich.sessions.calls import Call
from collector.enrich.sessions.events import Event
from collector.enrich.sessions.turns import Turn

_MAX_STARTERS: Final = 200


@dataclass(eq=False)
class Tool:
    """One run. `agent` is the sub-agent that made it, empty for the main one."""

    id: str
    events: tuple[Event, ...]
    agent: str = ""

    @cached_property
    def last(self) -> Event:
        """The result, else the decision."""
        results = [event for event in self.events if event.role is Role.RESULT]
        return results[-1] if results else self.events[-1]

    @cached_property
    def name(self) -> str:
        return next((found for event in reversed(self.events) if (found := event.first(event.rules.tool_name))), "")

    @cached_property
    def start(self) -> int:
        return self.last.begin if self.last.role is Role.RESULT else self.last.at

    @property
    def end(self) -> int:
        return self.last.at

    @property
    def failed(self) -> bool:
        return self.last.role is Role.RESULT and self.last.failed

    @property
    def denied(self) -> bool:
        """Whether it was not allowed to run: so says the record of its result, or the decision that none followed."""
        return self.last.denied


def tools(turn: Turn) -> list[Tool]:
    """The runs in order of time; events without an id are a run each."""
    found: dict[str, list[Event]] = defaultdict(list)
    for event in turn.of(Role.DECISION, Role.RESULT):
        found[event.tool_id or f"record {event.key}"].append(event)
    runs = [Tool(events[0].tool_id, tuple(events)) for events in found.values()]
    return sorted(runs, key=lambda tool: (tool.start, tool.last.key))


def callers(runs: Sequence[Tool], found: Sequence[Call]) -> None:
    """Note whose the runs are: what their records say, else the agent of the call that asked for them.

    That is the call they name, else the last one that ran when they started, else the last one that had ended.
    """
    by_id = {call.event.call_id: call for call in found if call.event.call_id}
    running = _Running(found)
    for tool in sorted(runs, key=_start):
        named = next((event.agent for event in tool.events if event.agent), "")
        call = next((by_id[event.call_id] for event in tool.events if event.call_id in by_id), None)
        around = running.at(tool.start)
        tool.agent = named or ((call := call or around) and call.agent) or ""


def _start(tool: Tool) -> int:
    return tool.start


class _Running:
    """Which call runs at a time; times are asked for in their order."""

    def __init__(self, found: Sequence[Call]) -> None:
        self._coming = sorted(found, key=lambda call: call.start, reverse=True)
        self._begun: list[tuple[int, int, int, Call]] = []  # a heap, the last that began first
        self._ended: Call | None = None

    def at(self, time: int) -> Call | None:
        """Of the calls that run the one that began last; else the one that ended last."""
        while self._coming and self._coming[-1].start <= time:
            call = self._coming.pop()
            heapq.heappush(self._begun, (-call.start, -call.event.key, id(call), call))
            if self._ended is None or (self._ended.end, self._ended.event.key) < (call.end, call.event.key):
                self._ended = call
        while self._begun and self._begun[0][-1].end < time:  # it will not run again
            heapq.heappop(self._begun)
        return self._begun[0][-1] if self._begun else self._ended


def starters(runs: Sequence[Tool], found: Sequence[Call], rules: EventRules) -> Mapping[str, Tool]:
    """The tool that started each sub-agent: one that ran around its calls, else the last that had started before.

    Of several around them the latest that has started no other. A tool of the sub-agent itself is none. No more than
    the last `_MAX_STARTERS` before it are asked.
    """
    times: dict[str, list[int]] = {}
    for call in found:
        if call.agent:
            begin, end = times.get(call.agent, (call.start, call.end))
            times[call.agent] = [min(begin, call.start), max(end, call.end)]
    starting = sorted((tool for tool in runs if tool.name in rules.starts_agents), key=_start)
    begins = [tool.start for tool in starting]
    started: dict[str, Tool] = {}
    taken: set[Tool] = set()
    for agent, (begin, end) in sorted(times.items(), key=lambda entry: (entry[1], entry[0])):
        before = starting[: bisect_right(begins, begin)][-_MAX_STARTERS:]
        if may := [tool for tool in before if tool.agent != agent]:
            free = [tool for tool in may if tool not in taken] or may
            around = [tool for tool in free if tool.end >= end]
            started[agent] = max(around or free, key=_start)
            taken.add(started[agent])
    return started

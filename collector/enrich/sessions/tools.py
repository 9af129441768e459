"""The runs of tools in a turn: each one action, of its decision and its result."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.enrich.conventions.events import EventRules, Role
from collector.enrich.sessions.calls import Call
from collector.enrich.sessions.events import Event
from collector.enrich.sessions.turns import Turn


@dataclass(slots=True, eq=False)
class Tool:
    """One run. `agent` is the sub-agent that made it, empty for the main one."""

    id: str
    events: tuple[Event, ...]
    agent: str = ""

    @property
    def last(self) -> Event:
        """The result, else the decision."""
        results = [event for event in self.events if event.role is Role.RESULT]
        return results[-1] if results else self.events[-1]

    @property
    def name(self) -> str:
        return next((found for event in reversed(self.events) if (found := event.first(event.rules.tool_name))), "")

    @property
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
    for tool in runs:
        named = next((event.agent for event in tool.events if event.agent), "")
        call = next((by_id[event.call_id] for event in tool.events if event.call_id in by_id), None)
        tool.agent = named or ((call := call or _caller(tool, found)) and call.agent) or ""


def _caller(tool: Tool, found: Sequence[Call]) -> Call | None:
    before = [call for call in found if call.start <= tool.start]
    running = [call for call in before if tool.start <= call.end]
    if running:
        return max(running, key=lambda call: (call.start, call.event.key))
    return max(before, key=lambda call: (call.end, call.event.key), default=None)


def starters(runs: Sequence[Tool], found: Sequence[Call], rules: EventRules) -> Mapping[str, Tool]:
    """The tool that started each sub-agent: one that ran around its calls, else the last that had started before.

    Of several around them the latest that has started no other. A tool of the sub-agent itself is none.
    """
    times: dict[str, list[int]] = {}
    for call in found:
        if call.agent:
            begin, end = times.get(call.agent, (call.start, call.end))
            times[call.agent] = [min(begin, call.start), max(end, call.end)]
    started: dict[str, Tool] = {}
    for agent, (begin, end) in sorted(times.items(), key=lambda entry: (entry[1], entry[0])):
        may = [
            tool for tool in runs if tool.name in rules.starts_agents and tool.start <= begin and tool.agent != agent
        ]
        if may:
            free = [tool for tool in may if tool not in started.values()] or may
            around = [tool for tool in free if tool.end >= end]
            started[agent] = max(around or free, key=lambda tool: tool.start)
    return started

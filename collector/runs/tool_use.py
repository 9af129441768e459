"""What became of the tools of a run: how often each was called, failed, and how long it took."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from collector.model.facts import Kind
from collector.runs.actions import Action
from collector.runs.run import Run
from collector.runs.toolbelt import Tool


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool and the times it ran. `p50` and `longest` are nanoseconds, None where no span tells of a run."""

    tool: Tool
    errors: int
    p50: int | None
    longest: int | None
    span_id: str


def tool_uses(run: Run) -> list[ToolUse]:
    """Every tool that was offered or run, those called most first."""
    ran: dict[str, list[Action]] = defaultdict(list)
    for each in run.rounds:
        for action in each.actions:
            if action.span.kind == Kind.TOOL:
                for name in {action.name, action.asked.name if action.asked else action.name}:
                    ran[name].append(action)
    return [_use(tool, ran[tool.name]) for tool in sorted(run.tools, key=lambda tool: -tool.count)]


def _use(tool: Tool, ran: Sequence[Action]) -> ToolUse:
    lengths = [action.span.end - action.span.start for action in ran]
    return ToolUse(
        tool=tool,
        errors=sum(action.error for action in ran),
        p50=int(median(lengths)) if lengths else None,
        longest=max(lengths) if lengths else None,
        span_id=ran[0].span.span_id if ran else "",
    )

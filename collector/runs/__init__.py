"""What happened in a run: its tree, rounds, messages, system prompt and tools. Pure functions over its spans."""

from collector.runs.actions import Action
from collector.runs.calls import Call
from collector.runs.messages import Message, Messages, Part, ToolCall, ToolResult
from collector.runs.prompts import SystemPrompt, prompts_of, system_prompt
from collector.runs.rounds import Round, rounds
from collector.runs.run import Run, run_of
from collector.runs.sources import messages
from collector.runs.span import Span
from collector.runs.stored import read_runs, read_spans
from collector.runs.toolbelt import Tool, toolbelt
from collector.runs.tree import Tree

__all__ = [
    "Action",
    "Call",
    "Message",
    "Messages",
    "Part",
    "Round",
    "Run",
    "Span",
    "SystemPrompt",
    "Tool",
    "ToolCall",
    "ToolResult",
    "Tree",
    "messages",
    "prompts_of",
    "read_runs",
    "read_spans",
    "rounds",
    "run_of",
    "system_prompt",
    "toolbelt",
]

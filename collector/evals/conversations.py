"""Conversations as one: all their runs, judged once the last of them is settled."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from collector.evals.evaluator import Evaluator
from collector.evals.select import input_hash
from collector.model.evaluations import Target, digest_of
from collector.query.limits import Reader
from collector.query.run_rows import RunRow, run_rows
from collector.runs import Round, Run, Tool
from collector.store.sql import named_query

# What is judged as one: a run, or the runs of a conversation in order of time. What is found stands with the first.
Together = Sequence[RunRow]

_MAX_RUNS: Final = 10_000
_HASH_DIGITS: Final = 32


def is_of_conversations(evaluator: Evaluator) -> bool:
    """Whether it judges conversations as one."""
    return evaluator.target is Target.CONVERSATION


def conversations_of(reader: Reader, project: str, runs: Sequence[RunRow]) -> list[Together]:
    """The conversations that runs belong to, whole; a run of none is one by itself.

    Others of their runs are those whose sums are kept: one that is not summed yet makes it another conversation later.
    """
    alone: list[Together] = [[run] for run in runs if not run.conversation_id]
    ids = sorted({run.conversation_id for run in runs} - {""})
    if not ids:
        return alone
    parameters = {"project": project, "conversations": ids, "limit": _MAX_RUNS}
    kept = run_rows(reader.query(named_query("evals_conversations"), parameters))
    known = {run.trace_id: run for run in (*kept, *runs) if run.conversation_id}
    found = sorted(known.values(), key=lambda run: (run.conversation_id, run.start, run.trace_id))
    return alone + [list(of_one) for _, of_one in groupby(found, key=lambda run: run.conversation_id)]


def hash_of(runs: Together) -> str:
    """Of what is judged: a run that is added or has changed makes it another."""
    if len(runs) == 1:
        return input_hash(runs[0])
    return digest_of(" ".join(map(input_hash, runs)).encode())[:_HASH_DIGITS]


def joined(runs: Sequence[Run]) -> Run:
    """Runs as one: their spans and rounds one after the other, rounds numbered through."""
    if len(runs) == 1:
        return runs[0]
    prompt = next((run.system_prompt for run in runs if run.system_prompt), None)
    return Run([span for run in runs for span in run.spans], _numbered(runs), prompt, _tools(runs))


def _numbered(runs: Sequence[Run]) -> list[Round]:
    found: list[Round] = []
    number = 0
    for one in (one for run in runs for one in run.rounds):
        number += one.call is not None
        found.append(replace(one, number=number if one.call else one.number))
    return found


def _tools(runs: Sequence[Run]) -> list[Tool]:
    tools: dict[str, Tool] = {}
    for tool in (tool for run in runs for tool in run.tools):
        before = tools.get(tool.name)
        if before:
            tool = replace(before, asked=before.asked + tool.asked, ran=before.ran + tool.ran)  # noqa: PLW2901
        tools[tool.name] = tool
    return list(tools.values())

"""From the stored spans of a run to a trial of a case."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from collector.evals.evaluate import About, evaluate
from collector.evals.evaluator import Evaluator
from collector.evals.figures import figure
from collector.evals.subject import Subject
from collector.gate.record import Outcome, Trial
from collector.model.evaluations import EvalStatus, Evaluation, Verdict, digest_of
from collector.runs import Run, read_spans, run_of

CASE_ATTRIBUTES: Final = ("spanmeter.case", "test.case.name")
# Where instrumentation of servers puts the header, when it is told to keep it.
_BAGGAGE: Final = "http.request.header.baggage"
_CASE_IN_BAGGAGE: Final = re.compile(r"""(?:^|[\s,"\[])spanmeter\.case\s*=\s*([^,;"\s\]]+)""")
_FIGURES: Final = ("cost_usd", "duration_ms", "ttft_ms", "input_tokens", "output_tokens", "rounds", "actions")
_MORE_FIGURES: Final = ("errors", "retries", "wasted_usd")
_HASH_DIGITS: Final = 16
_GUESSED: Final = "guessed-"


class CaseRun(NamedTuple):
    """A run of a case. `guessed`: the case has no name of its own, and is told by the first message."""

    case: str
    guessed: bool
    trace_id: str
    input_hash: str
    run: Run
    table: pa.Table


def case_run(table: pa.Table) -> CaseRun | None:
    """The run of a trace's rows; None when it is of no case: without a case's name or a call of a model."""
    run = run_of(read_spans(table))
    trace_id = str(table.column("TraceId")[0])
    named = next(_case_names(table), "")
    asked = _first_message(run)
    if not named and not (asked and any(one.call for one in run.rounds)):
        return None
    input_hash = digest_of(asked.encode("utf-8", "replace"))[:_HASH_DIGITS]
    return CaseRun(named or _GUESSED + input_hash, not named, trace_id, input_hash, run, table)


def _case_names(table: pa.Table) -> Iterator[str]:
    """What names the case: attributes of spans, then of resources, then baggage that arrived with a request."""
    baggage = []
    for column in ("SpanAttributes", "ResourceAttributes"):
        for pairs in table.column(column).to_pylist():
            values = dict(pairs or ())
            yield from (values[key] for key in CASE_ATTRIBUTES if values.get(key))
            baggage.append(values.get(_BAGGAGE, ""))
    yield from (unquote(found[1]) for text in baggage if (found := _CASE_IN_BAGGAGE.search(text)))


def _first_message(run: Run) -> str:
    """What was asked: the first text of a user, else the input of the root."""
    for one in run.rounds:
        for message in one.call.input if one.call else ():
            if message.role == "user" and message.text:
                return message.text
    return run.spans[0].input if run.spans else ""


def evaluations_of(found: CaseRun, evaluators: Sequence[Evaluator], project: str, batch: str) -> list[Evaluation]:
    """What the evaluators without a model find of a run."""
    about = About(project, found.trace_id, input_hash=found.input_hash, batch=batch, case=found.case)
    return list(evaluate(evaluators, found.run, about))


def trial_of(found: CaseRun, evaluations: Iterable[Evaluation]) -> Trial:
    """The run with what was found of it."""
    by_evaluator: dict[str, list[Evaluation]] = {}
    for one in evaluations:
        if one.vote == 0:
            by_evaluator.setdefault(one.evaluator, []).append(one)
    subject = Subject(found.run)
    return Trial(
        trace_id=found.trace_id,
        input_hash=found.input_hash,
        guessed=found.guessed,
        unpriced=subject.unpriced,
        outcomes={name: outcome_of(rows) for name, rows in by_evaluator.items()},
        figures=_figures(subject),
    )


def _figures(subject: Subject) -> Mapping[str, float]:
    """What is not known is not there: of money nothing is, when a call has no price."""
    found = {}
    for name in (*_FIGURES, *_MORE_FIGURES):
        value = None if subject.unpriced and name.endswith("_usd") else figure(name, subject)
        if value is not None:
            found[name] = float(value)
    return found


def outcome_of(rows: Sequence[Evaluation]) -> Outcome:
    """The whole of the rows of an evaluator: one of a run, or one a span, of which the first that is worst decides."""
    order = (
        [one for one in rows if one.status is EvalStatus.ERROR],
        [one for one in rows if one.verdict is Verdict.FAIL],
        [one for one in rows if one.status is EvalStatus.OK],
        rows,
    )
    first = next(kind[0] for kind in order if kind)
    flags = tuple(dict.fromkeys(flag for one in rows for flag in one.flags))
    shown = Outcome(first.status, first.verdict, first.score, first.reason, first.error_type, flags, first.span_id)
    scores = [one.score for one in rows if one.score is not None]
    return replace(shown, score=sum(scores) / len(scores)) if len(scores) > 1 else shown

"""Evaluators over one run: pure, the same wherever the run came from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from collector.config.evaluators import EvaluatorConfig
from collector.evals.deciding import COMMAND, DECIDED, decide
from collector.evals.evaluator import Evaluator
from collector.evals.finding import Finding
from collector.evals.span_queries import means
from collector.evals.subject import Subject
from collector.model.evaluations import ONLINE, Evaluation, Receipt
from collector.model.purposes import PRODUCT
from collector.runs import Run, Span


@dataclass(frozen=True, slots=True)
class About:
    """What evaluations of a run say besides what was found; of a conversation that of its first run.

    `others` are the conversation's other runs.
    """

    project: str
    trace_id: str
    conversation_id: str = ""
    input_hash: str = ""
    batch: str = ONLINE
    at: int = 0
    case: str = ""
    trial: int = 0
    release: str = ""
    agent: str = ""
    feature: str = ""
    model: str = ""
    others: tuple[str, ...] = ()

    @property
    def trace_ids(self) -> tuple[str, ...]:
        """All runs that are judged as one."""
        return (self.trace_id, *self.others)


def evaluate(evaluators: Iterable[Evaluator], run: Run, about: About) -> Iterator[Evaluation]:
    """What the evaluators find of a run; of those that look at spans one row a span that they select.

    Evaluators that need a model or a sender are passed over, as are runs that `where` does not mean, and, by evaluators
    of cases, those without one. Programs are started: whoever may not have them leaves their evaluators out.
    """
    whole = Subject(run)
    for evaluator in evaluators:
        if evaluator.config.check.kind in (*DECIDED, COMMAND) and is_about(evaluator, about):
            for subject in subjects(evaluator.config, whole):
                began = perf_counter_ns()
                finding = decide(evaluator.config.check, subject)
                yield evaluation(evaluator, subject, finding, about, perf_counter_ns() - began)


def is_about(evaluator: Evaluator, about: About) -> bool:
    """Whether an evaluator looks at a run: one of cases only at those that name one."""
    return evaluator.config.on != "case" or bool(about.case)


def subjects(config: EvaluatorConfig, whole: Subject) -> Iterator[Subject]:
    """What an evaluator looks at in a run: never at spans that were made for something else than the product."""
    where = config.select.where
    if config.on == "span":
        for span in whole.run.spans:
            if span.purpose == PRODUCT and all(means(query, span, whole.tree) for query in where):
                yield Subject(whole.run, span)
    elif all(any(means(query, span, whole.tree) for span in whole.run.spans) for query in where):
        yield whole


def evaluation(evaluator: Evaluator, subject: Subject, finding: Finding, about: About, duration: int) -> Evaluation:
    """The row of a finding."""
    span = subject.span
    return Evaluation(
        project=about.project,
        trace_id=about.trace_id,
        evaluator=evaluator.name,
        span_id=span.span_id if span else "",
        conversation_id=about.conversation_id,
        target=evaluator.target,
        kind=evaluator.kind,
        revision=evaluator.revision,
        input_hash=about.input_hash,
        batch=about.batch,
        at=about.at,
        status=finding.status,
        error_type=finding.error_type,
        verdict=finding.verdict,
        score=finding.score,
        score_min=None if finding.score is None else 0.0,
        score_max=None if finding.score is None else 1.0,
        reason=finding.reason,
        evidence=finding.evidence,
        label=finding.label,
        flags=finding.flags,
        case=about.case,
        trial=about.trial,
        release=about.release,
        probability=evaluator.config.sample.rate,
        agent=(span.agent_name if span else "") or about.agent,
        feature=about.feature,
        model=_model(span) if span else about.model,
        receipt=_took(duration),
    )


def _model(span: Span) -> str:
    return span.response_model or span.request_model


def _took(duration: int) -> Receipt:
    return Receipt(duration_ns=duration)

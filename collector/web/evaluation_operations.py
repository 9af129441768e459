"""The operations of evaluations and evaluators."""

from typing import Final

from collector.model.principal import Scope
from collector.web import evaluations, labels
from collector.web.answers import JobAnswer
from collector.web.evaluation_answers import Added, EvaluationsPage, EvaluatorsAnswer
from collector.web.evaluations import AddInput, EvaluationsQuery, OtlpLogs, RunEvaluatorsInput
from collector.web.labels import AgreementText, EvaluatorPath, LabelAnswer, LabelInput
from collector.web.operation import Answer, AnyOperation, Operation

EVALS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="list_evaluations",
        tag="Evaluations",
        method="GET",
        path="/api/v1/evaluations",
        scope=Scope.EVALS_READ,
        summary="What evaluators found, the newest first.",
        description="Of each run or span and evaluator the one that counts; with `all`, every row.",
        handler=evaluations.evaluations,
        query_input=EvaluationsQuery,
        answers={
            200: Answer(
                "A page of evaluations.",
                EvaluationsPage | OtlpLogs,
                {"spanmeter-next": "`next`, where the format has no place for it."},
                others={evaluations.PROTOBUF: bytes},
            )
        },
    ),
    Operation(
        name="add_evaluations",
        tag="Evaluations",
        method="POST",
        path="/api/v1/evaluations",
        scope=Scope.EVALS_WRITE,
        summary="Add what others found.",
        description="Rows are added, never changed. One that is sent again with its `batch` adds none.",
        handler=evaluations.add,
        body_input=AddInput,
        errors=(404,),
        answers={201: Answer("Their ids.", Added)},
    ),
    Operation(
        name="add_label",
        tag="Evaluations",
        method="POST",
        path="/api/v1/evaluations/labels",
        scope=Scope.EVALS_WRITE,
        summary="Say what a person finds of a run or span.",
        description="About the same input as the newest verdict of that evaluator. A labeler's next label of it counts "
        "in place of this one.",
        handler=labels.add_label,
        body_input=LabelInput,
        errors=(404,),
        answers={201: Answer("The label.", LabelAnswer)},
    ),
    Operation(
        name="evaluator_agreement",
        tag="Evaluations",
        method="GET",
        path="/api/v1/evaluators/{name}/agreement",
        scope=Scope.EVALS_READ,
        summary="How far an evaluator agrees with labels.",
        description="Of its newest revision, weighted back to how often it passes and fails.",
        handler=labels.agreement,
        path_input=EvaluatorPath,
        errors=(404,),
        answers={200: Answer("The report.", AgreementText)},
    ),
    Operation(
        name="list_evaluators",
        tag="Evaluations",
        method="GET",
        path="/api/v1/evaluators",
        scope=Scope.EVALS_READ,
        summary="The evaluators of the settings.",
        description="With the revision that their verdicts carry.",
        handler=evaluations.evaluators,
        errors=(404,),
        answers={200: Answer("The evaluators.", EvaluatorsAnswer)},
    ),
    Operation(
        name="run_evaluators",
        tag="Evaluations",
        method="POST",
        path="/api/v1/evaluators/run",
        scope=Scope.EVALS_WRITE,
        summary="Judge stored runs.",
        description="A job: those of the token's project that began in a period. What was judged before, and has not "
        "changed, is not judged again.",
        handler=evaluations.run_evaluators,
        body_input=RunEvaluatorsInput,
        errors=(404,),
        answers={202: Answer("The job.", JobAnswer, {"location": "The job's path."})},
    ),
)

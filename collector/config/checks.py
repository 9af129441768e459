"""The checks of evaluators: what makes a run or span good, as settings. `collector.evals` carries them out."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ByteSize,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from collector.config.patterns import check_path, check_schema, pattern
from collector.config.settings import Duration, Section, Written, refuse, setting

MAX_DEPTH: Final = 8
METRICS: Final = (
    "cost_usd",
    "duration_ms",
    "ttft_ms",
    "input_tokens",
    "output_tokens",
    "rounds",
    "actions",
    "errors",
    "retries",
    "wasted_usd",
)
# What other tools call the modes of tool paths.
MODE_ALIASES: Final = {"strict": "exact", "unordered": "same", "superset": "at_least", "subset": "at_most"}


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


def _as_text(value: object) -> object:
    """Numbers are compared as text: `0` matches "0"."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _pattern(text: str) -> str:
    pattern(text)
    return text


def _schema(schema: Any) -> Any:
    return schema if schema is None else check_schema(schema)


CheckText = Annotated[str, BeforeValidator(_as_text), Field(max_length=100_000)]
Texts = Annotated[tuple[CheckText, ...], BeforeValidator(_listed), Field(max_length=1000)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=1000)]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000)]


Pattern = Annotated[str, AfterValidator(_pattern)]
Path = Annotated[str, AfterValidator(check_path)]
Schema = Annotated[dict[str, Any] | bool | None, AfterValidator(_schema)]


class _Texts(Section):
    value: CheckText | None = setting(None, "The text.")
    all: Texts = setting((), "Texts of which every one is looked for.")
    any: Texts = setting((), "Texts of which one is enough.")
    ignore_case: bool = setting(False, "Whether upper and lower case are the same.")
    normalise: Annotated[tuple[Literal["space", "unicode"], ...], BeforeValidator(_listed)] = setting(
        (), "space: runs of blanks are one. unicode: compatible characters are one (NFKC)."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "_Texts":
        given = [name for name in ("value", "all", "any") if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            raise ValueError("needs one of value, all and any")
        return self


class OutputContains(_Texts):
    kind: Literal["output_contains"]


class OutputEquals(_Texts):
    kind: Literal["output_equals"]


class OutputStartsWith(_Texts):
    kind: Literal["output_starts_with"]


class OutputRegex(Section):
    kind: Literal["output_regex"]
    pattern: Pattern = setting(..., "RE2.", min_length=1, max_length=10_000)
    full: bool = setting(False, "Whether the whole output has to match.")
    ignore_case: bool = setting(False, "Whether upper and lower case are the same.")


class Expected(Section):
    """What stands at a JSONPath."""

    equals: Any = setting(None, 'Its value; 1 and 1.0 are equal, 1 and "1" are not.')
    exists: bool | None = setting(None, "Whether there is anything.")
    min: float | None = setting(None, "Least number.")
    max: float | None = setting(None, "Greatest number.")

    @model_validator(mode="after")
    def _something(self) -> "Expected":
        if not self.model_fields_set:
            raise ValueError("needs equals, exists, min or max")
        return self


class OutputJson(Section):
    kind: Literal["output_json"]
    schema_: Schema = Field(default=None, alias="schema", description="JSON Schema, draft 2020-12.")
    at: dict[Path, Expected] = setting({}, "By JSONPath (RFC 9535), what has to stand there.", max_length=100)
    where: Literal["whole", "fenced", "first_object"] = setting(
        "whole", "whole: all of the output; fenced: its first block of code; first_object: the first object in it."
    )


class Bound(Section):
    kind: Literal["bound"]
    metric: Literal[METRICS] = setting(..., "What is bounded.")  # type: ignore[valid-type]
    min: Decimal | None = setting(None, "Least value that passes.")
    max: Decimal | None = setting(None, "Greatest value that passes.")

    @model_validator(mode="after")
    def _bounded(self) -> "Bound":
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        return self


ArgumentsMode = Literal["exact", "subset", "ignore"]


class Step(Section):
    """A tool that is expected to be called."""

    tool: str = setting(..., "Its name.", min_length=1)
    arguments: Any = setting(None, "Its arguments; any, when there are none here.")
    match: ArgumentsMode | None = setting(None, "How arguments are compared, when not as the path has it.")
    schema_: Schema = Field(default=None, alias="schema", description="JSON Schema of the arguments.")
    at: dict[Path, Expected] = setting({}, "By JSONPath, what stands in the arguments.")
    defaults: dict[str, Any] = setting({}, "Arguments that are as if given, on both sides.")
    ignore: Names = setting((), "Arguments that are not compared.")


def _step(value: object) -> object:
    return {"tool": value} if isinstance(value, str) else value


def _batch(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Batch = Annotated[tuple[Annotated[Step, BeforeValidator(_step)], ...], BeforeValidator(_batch)]


def _mode(value: object) -> object:
    return MODE_ALIASES.get(value, value) if isinstance(value, str) else value


class ToolPath(Section):
    kind: Literal["tool_path"]
    steps: Annotated[tuple[Batch, ...], BeforeValidator(_listed)] = setting(
        (), "Tools, in order; a list in it is one round, in any order.", max_length=1000
    )
    mode: Annotated[Literal["exact", "in_order", "same", "at_least", "at_most", "never"], BeforeValidator(_mode)] = (
        setting("in_order", "How the path has to agree.")
    )
    path: Literal["any", "executed", "requested"] = setting(
        "any", "executed: spans of tools; requested: what the model asked for; any: the first of the two that is there."
    )
    arguments: ArgumentsMode = setting("subset", "How arguments of steps that have some are compared.")
    agent: str = setting("", "Count what this agent called only.")
    depth: Literal["own", "all"] = setting("all", "own: without what agents inside of it called.")
    failed: Literal["count", "ignore", "made_good"] = setting(
        "made_good", "Failed attempts: count, ignore, or ignore those that a later attempt made good."
    )
    max_repeats: dict[str, int] = setting({}, "By tool, how often it may be called.")
    max_actions: int | None = setting(None, "How many calls of tools there may be.", ge=0)
    first: str = setting("", "Tool that is called first.")
    last: str = setting("", "Tool that is called last.")

    @model_validator(mode="after")
    def _grouped(self) -> "ToolPath":
        if not (self.steps or self.max_repeats or self.max_actions is not None or self.first or self.last):
            raise ValueError("needs steps, max_repeats, max_actions, first or last")
        return self

    @property
    def batched(self) -> bool:
        """Whether steps are by round."""
        return any(len(batch) > 1 for batch in self.steps)


class SpanQuery(Section):
    """Which span is meant: all that is given has to hold of it."""

    name_equals: str | None = setting(None, "Its name.", validation_alias=AliasChoices("name_equals", "name"))
    name_contains: str | None = setting(None, "A part of its name.")
    name_matches_regex: Pattern | None = setting(None, "RE2 that is found in its name.")
    kind: Literal["agent", "llm", "tool", "eval", "internal"] | None = setting(None, "What it is.")
    operation: str | None = setting(None, "chat, embeddings, execute_tool, ...")
    tool: str | None = setting(None, "Tool it runs.")
    agent: str | None = setting(None, "Agent it names.")
    model: str | None = setting(None, "Model asked for or answering.")
    status: Literal["ok", "error"] | None = setting(None, "Whether it failed.")
    has_attributes: dict[str, Any] = setting(
        {}, "Attributes and their values.", validation_alias=AliasChoices("has_attributes", "attributes")
    )
    has_attribute_keys: Names = setting((), "Attributes it has.")
    min_duration: Duration | None = setting(None, "Shortest it may last.")
    max_duration: Duration | None = setting(None, "Longest it may last.")
    not_: "SpanQuery | None" = Field(
        default=None, validation_alias=AliasChoices("not", "not_"), description="Does not hold."
    )
    and_: tuple["SpanQuery", ...] = Field(
        default=(), validation_alias=AliasChoices("and", "and_"), description="All hold."
    )
    or_: tuple["SpanQuery", ...] = Field(
        default=(), validation_alias=AliasChoices("or", "or_"), description="One holds."
    )
    min_child_count: int | None = setting(None, "Fewest spans right below it.", ge=0)
    max_child_count: int | None = setting(None, "Most spans right below it.", ge=0)
    some_child_has: "SpanQuery | None" = setting(
        None, "Holds of a span right below.", validation_alias=AliasChoices("some_child_has", "some_child")
    )
    all_children_have: "SpanQuery | None" = setting(None, "Holds of every span right below.")
    no_child_has: "SpanQuery | None" = setting(None, "Holds of no span right below.")
    stop_recursing_when: "SpanQuery | None" = setting(None, "Do not look beyond spans of which it holds.")
    min_descendant_count: int | None = setting(None, "Fewest spans below it.", ge=0)
    max_descendant_count: int | None = setting(None, "Most spans below it.", ge=0)
    some_descendant_has: "SpanQuery | None" = setting(
        None, "Holds of a span below.", validation_alias=AliasChoices("some_descendant_has", "some_descendant")
    )
    all_descendants_have: "SpanQuery | None" = setting(None, "Holds of every span below.")
    no_descendant_has: "SpanQuery | None" = setting(None, "Holds of no span below.")
    min_depth: int | None = setting(None, "Fewest spans above it.", ge=0)
    max_depth: int | None = setting(None, "Most spans above it.", ge=0)
    some_ancestor_has: "SpanQuery | None" = setting(
        None, "Holds of a span above.", validation_alias=AliasChoices("some_ancestor_has", "some_ancestor")
    )
    all_ancestors_have: "SpanQuery | None" = setting(None, "Holds of every span above.")
    no_ancestor_has: "SpanQuery | None" = setting(None, "Holds of no span above.")


class Count(Section):
    min: int = setting(1, "Fewest spans.", ge=0)
    max: int | None = setting(None, "Most spans.", ge=0)


class SpanQueryCheck(Section):
    kind: Literal["span_query"]
    query: SpanQuery = setting(..., "Which spans are counted.")
    count: Count = setting(Count(), "How many there have to be; at least one by default.")


class Redundancy(Section):
    kind: Literal["redundancy"]
    max_repeats: int | None = setting(None, "Repeated calls of tools that are let pass.", ge=0)
    max_wasted_usd: Usd | None = setting(None, "USD of repeated calls that are let pass.")
    no_loops: bool = setting(False, "Whether loops fail.")

    @model_validator(mode="after")
    def _something(self) -> "Redundancy":
        if self.max_repeats is None and self.max_wasted_usd is None and not self.no_loops:
            raise ValueError("needs max_repeats, max_wasted_usd or no_loops: true")
        return self


class Finish(Section):
    kind: Literal["finish"]
    allowed: Names = setting(
        (), "Finish reasons that pass; all but cut short, refused and filtered when there are none."
    )


class Judge(Section):
    kind: Literal["judge"]
    sees: Names = setting(
        ("input", "output"), "input, output, trajectory, system_prompt, tools, expected, or attribute.KEY."
    )
    rubric: str = setting(..., "When it passes, in words.", min_length=1, max_length=100_000)
    choices: dict[str, float] = setting(
        {"pass": 1, "fail": 0}, "Words that it may answer, and their scores.", min_length=2
    )
    scale: Annotated[tuple[float, float] | None, Written("[least, greatest]")] = setting(
        None, "Instead of choices: it gives a number from the least to the greatest."
    )
    pass_at: float = setting(1, "Least score that passes.")
    judge: "JudgeUse" = setting(None, "Which model judges, and how often.")
    budget: "JudgeBudget" = setting(None, "What judging may cost.")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        return {"judge": {}, "budget": {}} | values if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _scaled(self) -> "Judge":
        if self.scale is None:
            return self
        low, high = self.scale
        if not low < high or not all(map(math.isfinite, self.scale)):
            refuse([("scale", "is not [least, greatest]")])
        if "choices" in self.model_fields_set:
            refuse([("scale", "and choices are both set; a judge gives a number or a word")])
        if not low <= self.pass_at <= high:
            refuse([("pass_at", f"is {self.pass_at:g}, which is not on the scale")])
        return self


class JudgeUse(Section):
    use: str = setting("", "Name in `judges`; not needed where there is one.")
    votes: int = setting(1, "Answers that are asked for.", ge=1, le=25)
    max_votes: int = setting(1, "Answers at most, when the first are near the border.", ge=1, le=25)
    flip_band: float = setting(
        0, "How near to pass_at a score is voted on, up to max_votes; 0: none is, unless votes are split.", ge=0
    )
    max_tokens: int = setting(400, "Tokens an answer may have.", ge=1, le=100_000)
    timeout: Duration = setting("20s", "Longest that an answer may take.", gt=0)
    temperature: float | None = setting(None, "Sent when it is set.", ge=0, le=2)


class JudgeBudget(Section):
    usd: Usd | None = setting(None, "What may be spent in a period.")
    period: Literal["hour", "day", "week", "month", "quarter", "year"] = setting("week", "The period.")
    timezone: str = setting("UTC", "IANA name of the time zone of the period.")
    per_verdict_usd: Usd | None = setting(None, "What one verdict may cost.")
    max_calls: int | None = setting(None, "Calls in a period; needed for models without a price.", ge=1)


class External(Section):
    kind: Literal["external"]
    pass_at: float | None = setting(None, "Least score that passes; without it the sender's word stands.")


class Command(Section):
    kind: Literal["command"]
    argv: Names = setting(..., "Program and arguments; it reads JSON and writes JSON.", min_length=1)
    timeout: Duration = setting("10s", "Longest it may run.", gt=0, le=600)
    max_memory: ByteSize = setting("1GiB", "Address space it may have.", ge=16 * 1024 * 1024)


class AllOf(Section):
    kind: Literal["all"] = "all"
    all: tuple["Check", ...] = setting(..., "Checks that all have to pass.", min_length=1, max_length=100)


class AnyOf(Section):
    kind: Literal["any"] = "any"
    any: tuple["Check", ...] = setting(..., "Checks of which one has to pass.", min_length=1, max_length=100)


class NoneOf(Section):
    kind: Literal["not"] = "not"
    not_: "Check" = Field(alias="not", description="Check that has to fail.")


KINDS: Final[dict[str, type[Section]]] = {
    "output_contains": OutputContains,
    "output_equals": OutputEquals,
    "output_starts_with": OutputStartsWith,
    "output_regex": OutputRegex,
    "output_json": OutputJson,
    "bound": Bound,
    "tool_path": ToolPath,
    "span_query": SpanQueryCheck,
    "redundancy": Redundancy,
    "finish": Finish,
    "judge": Judge,
    "external": External,
    "command": Command,
    "all": AllOf,
    "any": AnyOf,
    "not": NoneOf,
}


def _kind_of(value: Any) -> str:
    """The tag of a check; in angle brackets, as `load` leaves such parts out of a path."""
    if isinstance(value, Section):
        return f"<{value.kind}>"  # type: ignore[attr-defined]
    if not isinstance(value, dict):
        return "<>"
    kind = value.get("kind") or next((name for name in ("all", "any", "not") if name in value), "")
    return f"<{kind}>"


Check = Annotated[
    Annotated[OutputContains, Tag("<output_contains>")]
    | Annotated[OutputEquals, Tag("<output_equals>")]
    | Annotated[OutputStartsWith, Tag("<output_starts_with>")]
    | Annotated[OutputRegex, Tag("<output_regex>")]
    | Annotated[OutputJson, Tag("<output_json>")]
    | Annotated[Bound, Tag("<bound>")]
    | Annotated[ToolPath, Tag("<tool_path>")]
    | Annotated[SpanQueryCheck, Tag("<span_query>")]
    | Annotated[Redundancy, Tag("<redundancy>")]
    | Annotated[Finish, Tag("<finish>")]
    | Annotated[Judge, Tag("<judge>")]
    | Annotated[External, Tag("<external>")]
    | Annotated[Command, Tag("<command>")]
    | Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[NoneOf, Tag("<not>")],
    Discriminator(_kind_of),
]

for _section in (Judge, AllOf, AnyOf, NoneOf, SpanQuery):
    _section.model_rebuild()


def checks_in(check: Any) -> Iterator[Any]:
    """The check and those it is made of."""
    yield check
    below: tuple[Any, ...] = ()
    if isinstance(check, AllOf):
        below = check.all
    elif isinstance(check, AnyOf):
        below = check.any
    elif isinstance(check, NoneOf):
        below = (check.not_,)
    for one in below:
        yield from checks_in(one)

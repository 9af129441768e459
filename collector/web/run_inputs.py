"""Parameters of questions about runs."""

import time
from dataclasses import replace
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected
from collector.model.purposes import PRODUCT
from collector.query.listing import RunSort, RunsWanted
from collector.query.run_filter import Attribute, Problem, RunFilter, RunStatus
from collector.query.run_rows import RunKey
from collector.query.service import ByAttribute, Dimension
from collector.web.cursors import MarkedPage
from collector.web.inputs import Instant, Nanoseconds, Pico, Switch, Text, TokenCount, choice, one_of
from collector.web.operation import Input
from collector.web.times import rfc3339

_MINUTE_NS = 60 * 10**9
_DEFAULT_PERIOD_NS = 7 * 24 * 60 * _MINUTE_NS
_MAX_STEPS = 400


class RunVerdict(StrEnum):
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


class Order(StrEnum):
    DESCENDING = "desc"
    ASCENDING = "asc"


def _attribute(value: object) -> Attribute | None:
    if value is None:
        return None
    name, equals, text = str(value).partition("=")
    if not name or not equals:
        shown = str(value)[:60]
        raise Rejected(
            Reason.MALFORMED, f"attribute={shown!r} is not a name and a value; write for example tenant=acme."
        )
    return Attribute(name, text)


def _steps(value: object) -> int:
    written = str(value)
    if not written.isascii() or not written.isdecimal() or len(written) > 3 or int(written) > _MAX_STEPS:
        raise Rejected(Reason.MALFORMED, f"steps={written[:40]!r} is not a whole number from 0 to {_MAX_STEPS}.")
    return int(written)


def _zone(value: object) -> str:
    name = str(value)
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Rejected(Reason.MALFORMED, f"There is no time zone {name[:60]!r}; Europe/Berlin is one.") from None


PurposeText = Annotated[str, Field(max_length=200)]
_PURPOSES = "judge, adversary, ...; `*` for any. Default: the product's."


def in_order(since: int, until: int) -> tuple[int, int]:
    """Both. Raises Rejected(MALFORMED) when the period ends before it begins."""
    if until < since:
        raise Rejected(
            Reason.MALFORMED,
            f"The period ends, {rfc3339(until)}, before it begins, {rfc3339(since)}: swap since and until.",
        )
    return since, until


class Period(Input):
    """A period; by default the last seven days."""

    since: Instant | None = Field(None, description="From this time on; default: seven days before `until`.")
    until: Instant | None = Field(None, description="Before this time; default: now.")

    def bounds(self) -> tuple[int, int]:
        """Unix nanoseconds. Clocks of exporters may be ahead of ours by a minute.

        Raises Rejected(MALFORMED) for a period that ends before it begins.
        """
        until = time.time_ns() + _MINUTE_NS if self.until is None else self.until
        since = until - _DEFAULT_PERIOD_NS if self.since is None else self.since
        return in_order(since, until)


class Matching(Input):
    """What runs have to match."""

    service: Text = Field(None, description="Only runs with a span of this service.")
    agent: Text = Field(None, description="Only runs with a span of this agent.")
    model: Text = Field(None, description="Only runs that called this model.")
    feature: Text = Field(None, description="Only runs of this feature, or with a call of it.")
    user: Text = Field(None, description="Only runs of this user.")
    conversation: Text = Field(None, description="Only runs of this conversation.")
    status: Annotated[RunStatus | None, one_of(RunStatus)] = Field(
        None,
        description="Only runs that are `ok`, have `errors` inside, `failed` with their root, or are `incomplete`: "
        "their root has not arrived.",
    )
    problem: Annotated[Problem | None, one_of(Problem)] = Field(
        None,
        description="Only runs with a span that failed (`errors`), with a call that has no price (`unpriced`), or of "
        "which, or of a span of which, an evaluator found `fail` (`failed_evals`).",
    )
    min_cost: Pico = Field(None, description="Only runs that cost at least so many USD.")
    max_cost: Pico = Field(None, description="Only runs that cost at most so many USD.")
    min_seconds: Nanoseconds = Field(None, description="Only runs that took at least so long.")
    max_seconds: Nanoseconds = Field(None, description="Only runs that took at most so long.")
    min_tokens: TokenCount = Field(None, description="Only runs with at least so many tokens, in and out.")
    max_tokens: TokenCount = Field(None, description="Only runs with at most so many tokens.")
    text: Text = Field(
        None, description="Only runs with this text in the input or output of a span, in capitals or not."
    )
    attribute: Annotated[
        Attribute | None, BeforeValidator(_attribute), WithJsonSchema({"type": "string", "pattern": "^[^=]+="})
    ] = Field(None, description="Only runs with a span or resource that has this attribute: `name=value`.")
    verdict: Annotated[RunVerdict | None, one_of(RunVerdict)] = Field(
        None, description="Only runs that an evaluator found this of, or of a span of theirs."
    )
    evaluator: Text = Field(None, description="Only runs that this evaluator has judged; with `verdict`, so.")
    purpose: PurposeText = Field(PRODUCT, description=f"Only runs made for this: {_PURPOSES}")
    folded: Switch = Field(False, description="Whether to list traces with neither model call, tool nor agent, too.")

    def narrowed(self, period: RunFilter) -> RunFilter:
        """The runs of a period that match."""
        return replace(
            period,
            service=self.service or "",
            agent=self.agent or "",
            model=self.model or "",
            feature=self.feature or "",
            user=self.user or "",
            conversation=self.conversation or "",
            status=self.status,
            problem=self.problem,
            min_cost=self.min_cost,
            max_cost=self.max_cost,
            min_duration=self.min_seconds,
            max_duration=self.max_seconds,
            min_tokens=self.min_tokens,
            max_tokens=self.max_tokens,
            text=self.text or "",
            verdict=self.verdict or "",
            evaluator=self.evaluator or "",
            attribute=self.attribute,
            folded=self.folded,
            purpose=self.purpose,
        )


class RunFilters(Matching, Period):
    """Which runs: those that began in the period and match all that is given."""

    def asked(self) -> RunFilter:
        return self.narrowed(RunFilter(*self.bounds()))


class _ListPage(MarkedPage):
    """A page of runs or conversations."""

    def key(self, of: str = "") -> RunKey | None:
        """As `position`."""
        found = self.position(of)
        return RunKey(found.value, found.name) if found else None

    def next_text(self, key: RunKey | None, of: str = "") -> str | None:
        """The `next` of a page that ends with this run or conversation; None after the last."""
        return self.next_after(key.value, key.trace_id, of) if key else None


class _RunPage(_ListPage):
    titles: Switch = Field(False, description="Whether to read what each run was asked: its `title`.")


class RunsQuery(RunFilters, _RunPage):
    sort: Annotated[RunSort, one_of(RunSort)] = Field(RunSort.START, description="What the list is ordered by.")
    order: Annotated[Order, one_of(Order)] = Field(Order.DESCENDING, description="Highest or newest first, or last.")

    def wanted(self) -> RunsWanted:
        return wanted_of(self.asked(), self.limit, self.key(), self.sort, ascending=self.order is Order.ASCENDING)


class WindowsQuery(RunFilters):
    """A window, and the one that it is compared with."""

    other_since: Instant | None = Field(
        None, description="The period to compare with begins here; default: as long before `since` as `until` is after."
    )
    other_until: Instant | None = Field(None, description="It ends here; default: as long as the period itself.")

    def other(self, asked: RunFilter) -> tuple[int, int]:
        length = asked.until - asked.since
        if self.other_since is not None:
            return self.other_since, self.other_since + length if self.other_until is None else self.other_until
        until = asked.since if self.other_until is None else self.other_until
        return until - length, until


class KpisQuery(WindowsQuery):
    steps: Annotated[
        int, BeforeValidator(_steps), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _MAX_STEPS})
    ] = Field(0, description="Also the figures of so many equal steps of the period, for a sparkline.")


class ConversationsQuery(RunFilters, _ListPage):
    """Which conversations."""


class ConversationRunsQuery(_RunPage):
    """A page of the runs of one conversation."""


class ConversationPath(Input):
    conversation_id: str = Field(description="The id of a conversation, as its spans have it.")


_ATTRIBUTES = "`attribute.KEY` for any attribute, for example `attribute.team.id`: of a call, else of its run."


def _by(kind: type[StrEnum]) -> BeforeValidator:
    """A value of an enumeration, or an attribute."""

    def validate(value: object, info: ValidationInfo) -> object:
        if isinstance(value, kind):
            return value
        written = str(value)
        if written.startswith(ATTRIBUTE) and written != ATTRIBUTE:
            return ByAttribute(written.removeprefix(ATTRIBUTE))
        return choice(kind, written, info.field_name or "")

    return BeforeValidator(validate)


def _by_schema(kind: type[StrEnum]) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"enum": [one.value for one in kind]}, {"pattern": r"^attribute\..+$"}], "type": "string"}
    )


By = Annotated[Dimension | ByAttribute, _by(Dimension), _by_schema(Dimension)]


class SpendQuery(Period):
    by: By = Field(Dimension.MODEL, description=f"The dimension; {_ATTRIBUTES}")
    purpose: PurposeText = Field(PRODUCT, description=f"Only calls made for this: {_PURPOSES}")


class TableDimension(StrEnum):
    """What a table of spend has a row for."""

    AGENT = "agent"
    FEATURE = "feature"
    SERVICE = "service"
    USER = "user"


TableBy = Annotated[TableDimension | ByAttribute, _by(TableDimension), _by_schema(TableDimension)]


class SpendSplit(StrEnum):
    """What each row of a table of spend is split by."""

    MODEL = "model"
    DAY = "day"
    MODEL_AND_DAY = "model,day"


class TableFormat(StrEnum):
    JSON = "json"
    CSV = "csv"


class SpendTableQuery(Period):
    by: TableBy = Field(TableDimension.FEATURE, description=f"The first dimension; {_ATTRIBUTES}")
    split: Annotated[SpendSplit, one_of(SpendSplit)] = Field(SpendSplit.MODEL, description="The second, or both.")
    purpose: PurposeText = Field(PRODUCT, description=f"Only calls made for this: {_PURPOSES}")
    zone: Annotated[str, BeforeValidator(_zone)] = Field(
        "UTC", description="The time zone of days, as in the IANA database."
    )
    format: Annotated[TableFormat, one_of(TableFormat)] = Field(
        TableFormat.JSON,
        description="`csv` is a file for spreadsheets: texts that these would take for a formula have an apostrophe "
        "before them.",
    )


def wanted_of(
    asked: RunFilter, limit: int, after: RunKey | None, sort: RunSort = RunSort.START, *, ascending: bool = False
) -> RunsWanted:
    """A page of the runs that a filter asks for."""
    parts = {name: getattr(asked, name) for name in RunFilter.__dataclass_fields__}
    return RunsWanted(**parts, limit=limit, after=after, sort=sort, ascending=ascending)

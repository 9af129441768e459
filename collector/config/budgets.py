"""Settings of budgets: what may be spent on which calls, in which period, and whom to tell."""

import difflib
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from collector.config.settings import Duration, Mistake, Section, Written, nearest, refuse, seconds, setting, shown
from collector.model.budgets import Dimensions, Scope

PERIODS = ("hour", "day", "week", "month", "quarter", "year")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# What calls are matched by; besides these, any attribute as `attribute.KEY`.
DIMENSIONS = Dimensions._fields[:-2]
ATTRIBUTE = "attribute."

# Values of calls are compared by so many characters: nobody's megabyte of a name has to be kept.
MAX_VALUE_LENGTH = 200

_MIN_WINDOW = 3600
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,3}")
# In the database, but this machine's own, nobody's, or with leap seconds.
_NO_ZONES = re.compile(r"localtime|Factory|posixrules|(posix|right)/.*")

_DAY = 86_400
_CLOCK_CHANGE = 3600  # local days may be this much longer than 24 hours
_MAX_LENGTH = {
    "hour": 3600,
    "day": _DAY + _CLOCK_CHANGE,
    "week": 7 * _DAY + _CLOCK_CHANGE,
    "month": 31 * _DAY + _CLOCK_CHANGE,
    "quarter": 92 * _DAY + _CLOCK_CHANGE,
    "year": 366 * _DAY + _CLOCK_CHANGE,
}


def _text(value: object) -> object:
    """YAML reads bare `42`, `on` and `2026-01-01` as something else than text."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text; write it in quotes")  # noqa: TRY004 - pydantic takes ValueError
    return value


def _compared(value: str) -> str:
    if len(value) > MAX_VALUE_LENGTH:
        raise ValueError(
            f"{shown(value)} is longer than the {MAX_VALUE_LENGTH} characters by which values are compared"
        )
    return value


def _printable(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"{shown(name)} has characters that do not print, or blanks around it")
    return name


def _dimension(name: str) -> str:
    if name.startswith(ATTRIBUTE):
        if not 0 < len(name) - len(ATTRIBUTE) <= MAX_VALUE_LENGTH:
            raise ValueError(f"{shown(name)} needs a key of 1 to {MAX_VALUE_LENGTH} characters after {ATTRIBUTE!r}")
        _printable(name.removeprefix(ATTRIBUTE))
    elif name not in DIMENSIONS:
        raise ValueError(f"{shown(name)} is nothing to match by{nearest(name, [*DIMENSIONS, ATTRIBUTE + 'KEY'])}")
    return name


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str | int | float | Decimal) else value


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{shown(str(value))} is written twice")
    return values


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{shown(value)} is not a number")  # noqa: TRY004 - pydantic takes ValueError
    return value


def _period(value: object) -> object:
    """One of PERIODS, or the length of a rolling window in seconds."""
    if value is None or (isinstance(value, str) and value in PERIODS):
        return value
    if isinstance(value, str) and not value[:1].isdecimal():
        close = difflib.get_close_matches(value[:100], PERIODS, n=1, cutoff=0.6)
        raise ValueError(
            f"{shown(value)} is no period"
            + (f"; did you mean {close[0]}?" if close else f": {', '.join(PERIODS)}, or a rolling window such as 24h")
        )
    return _window(value)


def _window(value: object) -> object:
    """The length of a rolling window in seconds."""
    if value is None:
        return None
    length = seconds(_number(value))
    if not isinstance(length, int | float) or not length >= _MIN_WINDOW:
        raise ValueError(f"{shown(value)} is too short: a rolling window is at least 1h")
    if length % 60:
        raise ValueError(f"{shown(value)} is not a whole number of minutes")
    return float(length)


def _zone(key: str) -> str:
    """An IANA name; `zoneinfo` itself would read any file below its folders."""
    if _ZONE.fullmatch(key) and not _NO_ZONES.fullmatch(key):
        try:
            ZoneInfo(key)
        except (OSError, ValueError, LookupError):
            pass
        else:
            return key
    known = sorted(name for name in available_timezones() if not _NO_ZONES.fullmatch(name))
    by_fold = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(key[:100].casefold(), by_fold, n=1, cutoff=0.6)
    hint = f"; did you mean {by_fold[close[0]]}?" if close else ", for example Europe/Berlin or UTC"
    raise ValueError(f"{shown(key)} is no IANA time zone{hint}")


def _weekday(value: object) -> object:
    if isinstance(value, str) and value.lower() in WEEKDAYS:
        return value.lower()
    raise ValueError(f"{shown(value)} is no day of the week{nearest(str(value).lower(), WEEKDAYS)}")


def _month_day(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 28:
        raise ValueError(f"{shown(value)} is not a day from 1 to 28, which every month has")
    return value


def _fraction(value: object) -> object:
    try:
        fraction = Decimal(str(_number(value))[:100])
    except ArithmeticError:
        fraction = Decimal(-1)
    if not fraction.is_finite() or not 0 < fraction < 1 or len(str(fraction)) > 20:
        raise ValueError(f"{shown(value)} is not a fraction between 0 and 1; 0.8 warns at 80 % of the limit")
    return fraction.normalize()


Text = Annotated[str, BeforeValidator(_text), AfterValidator(_compared)]
Dimension = Annotated[str, BeforeValidator(_text), AfterValidator(_dimension), Written("dimension")]
Values = Annotated[
    tuple[Text, ...],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=1000),
    AfterValidator(_distinct),
    Written("text, or list of text"),
]
Fraction = Annotated[Decimal, BeforeValidator(_fraction), Written("fraction")]
# More than a million USD, which Decimal(18, 12) cannot hold: a year's budget is compared with sums, which have room.
LimitUsd = Annotated[
    Decimal, BeforeValidator(_number), Field(gt=0, le=1_000_000_000, decimal_places=12), Written("USD")
]
LimitTokens = Annotated[int, BeforeValidator(_number), Field(gt=0, le=10**18), Written("tokens")]


class ValueLimit(Section):
    """The limit of one value, or combination of values, of `per`."""

    value: dict[Dimension, Text] = setting(..., "The value of each name in `per`.")
    limit_usd: LimitUsd | None = setting(None, "Its limit in USD, in a budget that has limit_usd.")
    limit_tokens: LimitTokens | None = setting(None, "Its limit in tokens, in a budget that has limit_tokens.")


# Tags of a union are part of an error's location; `load` leaves out those in angle brackets.
Limits = Annotated[
    Annotated[dict[Text, LimitUsd], Tag("<by value>")] | Annotated[tuple[ValueLimit, ...], Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<by value>"),
]


class BudgetConfig(Section):
    name: Annotated[str, BeforeValidator(_text), AfterValidator(_printable)] = setting(
        ..., "What it is called in events and answers; no two the same.", min_length=1, max_length=200
    )
    limit_usd: LimitUsd | None = setting(None, "What may be spent in a period, in USD. Either this or limit_tokens.")
    limit_tokens: LimitTokens | None = setting(None, "What may be spent in a period, in input and output tokens.")
    period: Annotated[str | float | None, BeforeValidator(_period), Written("period or duration")] = setting(
        None, "hour, day, week, month, quarter or year in the time zone; or a rolling window: 24h, 30d, ..."
    )
    rolling: Annotated[float | None, BeforeValidator(_window), Written("duration")] = setting(
        None, "The same as a window for `period`."
    )
    timezone: Annotated[str, BeforeValidator(_text), AfterValidator(_zone), Written("time zone")] = setting(
        "UTC", "IANA name, such as America/New_York, whose midnight starts a period."
    )
    week_start: Annotated[str, BeforeValidator(_weekday), Written("day of the week")] = setting(
        "monday", "First day of a week."
    )
    month_day: Annotated[int, BeforeValidator(_month_day)] = setting(
        1, "Day of the month, 1 to 28, on which a month, quarter or year starts."
    )
    match: dict[Dimension, Values] = setting(
        {},
        "Calls that count; all when empty. By project, service, environment, provider, model (any of its names, or "
        "`gpt-*`), agent, feature, user, conversation, purpose, attribute.KEY: a value, or a list of any. Without "
        'purpose only the product\'s own calls count, not those of judges; ["", judge] counts both.',
    )
    per: Annotated[tuple[Dimension, ...], BeforeValidator(_listed), Field(max_length=10), AfterValidator(_distinct)] = (
        setting((), "A budget for each value of these names, as in match.")
    )
    limits: Limits = setting(
        {}, "Limits of single values of `per`: `{checkout: 50}`, or `[{value: {feature: checkout}, limit_usd: 50}]`."
    )
    warn_at: Annotated[
        tuple[Fraction, ...], BeforeValidator(_listed), Field(max_length=100), AfterValidator(_distinct)
    ] = setting((0.8,), "Fractions of the limit at which an event is sent.")
    hard: bool = setting(False, "Refuse further runs once the limit is reached.")
    unpriced: Literal["ignore", "warn", "block"] = setting(
        "warn", "A call without a known price: ignore it, warn, or block further runs."
    )
    webhooks: Annotated[tuple[Text, ...], BeforeValidator(_listed), AfterValidator(_distinct)] = setting(
        (), "Which of `webhooks` receive its events."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "BudgetConfig":
        refuse([*self._limit_mistakes(), *self._period_mistakes(), *self._value_limit_mistakes()])
        if self.unpriced == "block" and not self.hard:
            refuse([("unpriced", "only a budget with hard: true blocks anything; write warn, or make it hard")])
        return self

    def _limit_mistakes(self) -> Iterator[Mistake]:
        if self.limit_usd is None and self.limit_tokens is None:
            yield "", "a budget needs limit_usd or limit_tokens"
        elif self.limit_usd is not None and self.limit_tokens is not None:
            yield "", "limit_usd and limit_tokens are both set; make two budgets of it"

    def _period_mistakes(self) -> Iterator[Mistake]:
        if self.period is None and self.rolling is None:
            yield "", "a budget needs a period (hour, day, week, month, quarter, year), or a rolling window such as 24h"
        elif self.period is not None and self.rolling is not None:
            yield "", "period and rolling are both set; make two budgets of it"
        elif self.week_start != WEEKDAYS[0] and self.period != "week":
            yield "week_start", "only a budget whose period is week has it"
        elif self.month_day != 1 and self.period not in {"month", "quarter", "year"}:
            yield "month_day", "only a budget whose period is month, quarter or year has it"

    def _value_limit_mistakes(self) -> Iterator[Mistake]:
        if self.limits and not self.per:
            yield "limits", "limits are of values of `per`, which is not set"
        elif isinstance(self.limits, dict):
            if self.limits and len(self.per) > 1:
                named = ", ".join(f"{name}: ..." for name in self.per)
                yield "limits", f"`per` has several names; write a list: [{{value: {{{named}}}, limit_usd: ...}}]"
            for value, amount in self.limits.items():
                if self.limit_tokens is not None and amount != int(amount):
                    yield f"limits.{shown(value)}", f"{amount} is not a whole number of tokens"
        else:
            yield from self._listed_limit_mistakes(self.limits)

    def _listed_limit_mistakes(self, limits: tuple[ValueLimit, ...]) -> Iterator[Mistake]:
        unit, other = ("limit_usd", "limit_tokens") if self.limit_usd is not None else ("limit_tokens", "limit_usd")
        seen: set[Scope] = set()
        for position, limit in enumerate(limits):
            path = f"limits.{position}"
            if set(limit.value) != set(self.per):
                yield f"{path}.value", f"needs a value for exactly the names of `per`: {', '.join(self.per)}"
                continue
            if getattr(limit, unit) is None or getattr(limit, other) is not None:
                yield path, f"needs {unit} and nothing else, as the budget has it"
            scope = self._scope(limit)
            if scope in seen:
                yield path, f"{shown(', '.join(scope))} has a limit already"
            seen.add(scope)

    def _scope(self, limit: ValueLimit) -> Scope:
        return tuple(limit.value[name] for name in self.per)

    @property
    def limit(self) -> Decimal:
        """The limit in USD or tokens, whichever the budget has."""
        return self.limit_usd if self.limit_usd is not None else Decimal(self.limit_tokens or 0)

    @property
    def value_limits(self) -> dict[Scope, Decimal]:
        """`limits` by the values of `per`, in the budget's unit."""
        if isinstance(self.limits, dict):
            return {(value,): amount for value, amount in self.limits.items()}
        usd = self.limit_usd is not None
        return {
            self._scope(one): one.limit_usd if usd and one.limit_usd else Decimal(one.limit_tokens or 0)
            for one in self.limits
        }

    @property
    def window(self) -> float | None:
        """Seconds of a rolling window; None for a calendar period."""
        return self.period if isinstance(self.period, float) else self.rolling

    @property
    def max_seconds(self) -> float:
        """Seconds that a period lasts at most."""
        return self.window or _MAX_LENGTH[str(self.period)]

    @property
    def period_name(self) -> str:
        """The period as a person would write it: month, 24h, 30d."""
        if self.window is None:
            return str(self.period)
        for unit, size in (("d", _DAY), ("h", 3600)):
            if self.window % size == 0 and (unit == "h" or self.window > size):
                return f"{self.window / size:.0f}{unit}"
        return f"{self.window / 60:.0f}m"


class EnforcementConfig(Section):
    fail: Literal["open", "closed"] = setting("open", "Allow (open) or refuse (closed) while spend is not known.")
    lease_ttl: Duration = setting("15m", "A lease that is not settled by then is released.", ge=1)
    max_lease_ttl: Duration = setting("24h", "Longest time a lease may ask for.", ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> "EnforcementConfig":
        if self.lease_ttl > self.max_lease_ttl:
            raise ValueError("lease_ttl is longer than max_lease_ttl")
        return self


class LedgerConfig(Section):
    reconcile_interval: Duration = setting("10m", "Compare the ledger with the store this often.", ge=1)
    max_values: int = setting(
        500_000,
        "Sums kept apart, of all budgets, values of `per` and periods; further values share one.",
        ge=1,
        le=10_000_000,
    )

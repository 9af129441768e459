"""Schedules: calendar periods and rolling windows behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from collector.budgets.periods.local_periods import LocalPeriods

_SECOND = 1_000_000_000
_DAY_NS = 86_400 * _SECOND
# Periods that ended no longer ago than this, or begin so soon, are counted; broken clocks name others.
HORIZON_NS = 35 * _DAY_NS
AHEAD_NS = 7 * _DAY_NS
# Most spans of a batch are of the current period, late ones of a few before it.
_REMEMBERED = 8
# A window moves on in so many steps at most.
_STEPS = 1440

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From `start` up to, and without, `end`."""

    start: int
    end: int

    def __contains__(self, ns: int) -> bool:
        return self.start <= ns < self.end


class Schedule(ABC):
    """When the spend of a budget counts against its limit.

    Spend is counted in slots: calendar periods, or the steps of which a rolling window is the sum.
    """

    __slots__ = ()

    # Whether all spend is over at a period's end, and a new period begins with none.
    renews: ClassVar[bool]

    @property
    @abstractmethod
    def step_ns(self) -> int:
        """The length of a slot; 0 where slots differ in length, as calendar periods do."""

    @property
    @abstractmethod
    def zone_name(self) -> str:
        """The time zone in which people read when a period begins and ends."""

    @abstractmethod
    def current(self, now: int) -> Period:
        """The period that holds a moment, or the window that ends with it."""

    @abstractmethod
    def before(self, period: Period) -> Period:
        """The period, or the window, that ends where this one begins."""

    @abstractmethod
    def slot(self, ns: int) -> Period:
        """The slot that holds an instant."""

    @abstractmethod
    def countable(self, ns: int, now: int) -> int | None:
        """The start of the slot in which an instant is counted; None when it is long over, or not soon to come."""

    @abstractmethod
    def tracked(self, now: int) -> Sequence[int]:
        """The starts of the slots to know at any time: the current period and the one before, or a window's steps."""

    @abstractmethod
    def following(self, now: int) -> Sequence[int]:
        """The starts of the periods after the current one that calls may be counted in, which `tracked` is without."""

    @abstractmethod
    def recent(self, now: int, since: int | None) -> Sequence[int]:
        """Those of `tracked` to read from the store for what others wrote since a time; None: at any time.

        Of steps the first and the last one: those between are read with them.
        """

    @abstractmethod
    def starts_between(self, first: int, last: int) -> list[int]:
        """The starts of all slots from `first` to `last`, where they differ in length; else none."""

    @abstractmethod
    def event_period(self, slot: Period, evaluated_ns: int) -> Period:
        """The period an event is about that was named by a slot and decided on at `evaluated_ns`."""

    @abstractmethod
    def limit_text(self, label: str, end: str) -> str:
        """When the limit applies, as the end of a sentence; `label` is the period's name."""

    @abstractmethod
    def identity(self) -> list[str | int]:
        """Values that are equal for schedules with the same slots, in any process."""

    @abstractmethod
    def dispatch(self, calendar: "Callable[[Calendar], _Made]", rolling: "Callable[[Rolling], _Made]") -> _Made:
        """What one of two functions makes of this schedule: for parts of which there is one for each kind."""


@dataclass(frozen=True, slots=True)
class Calendar(LocalPeriods, Schedule):
    """Calendar periods, which follow each other without a gap."""

    renews: ClassVar[bool] = True

    _recent: list[Period] = field(default_factory=list, init=False, repr=False, compare=False)

    def at(self, ns: int) -> Period:
        """The period that holds an instant."""
        for period in self._recent:
            if period.start <= ns < period.end:
                return period
        start, end = self.around(ns // _SECOND)
        period = Period(start * _SECOND, end * _SECOND)
        # Replaced in one step: other threads read it.
        self._recent[:] = [period, *self._recent[: _REMEMBERED - 1]]
        return period

    @property
    def step_ns(self) -> int:
        return 0

    @property
    def zone_name(self) -> str:
        return str(self.timezone)

    def current(self, now: int) -> Period:
        return self.at(now)

    def before(self, period: Period) -> Period:
        return self.at(period.start - 1)

    def after(self, period: Period) -> Period:
        return self.at(period.end)

    def slot(self, ns: int) -> Period:
        return self.at(ns)

    def countable(self, ns: int, now: int) -> int | None:
        period = self.at(ns)
        return period.start if now - HORIZON_NS <= period.end and period.start <= now + AHEAD_NS else None

    def tracked(self, now: int) -> Sequence[int]:
        current = self.at(now)
        return [self.before(current).start, current.start]

    def following(self, now: int) -> Sequence[int]:
        first = self.at(now).end
        return self.starts_between(first, self.at(now + AHEAD_NS).start) if first <= now + AHEAD_NS else ()

    def recent(self, now: int, since: int | None) -> Sequence[int]:
        starts = self.tracked(now)
        return starts if since is None else starts[-1:]

    def starts_between(self, first: int, last: int) -> list[int]:
        starts = [first]
        while starts[-1] < last:
            starts.append(self.after(self.at(starts[-1])).start)
        return starts

    def event_period(self, slot: Period, evaluated_ns: int) -> Period:  # noqa: ARG002 # an event names its period
        return slot

    def limit_text(self, label: str, end: str) -> str:  # noqa: ARG002 # the end says it all
        return f"until {end}"

    def identity(self) -> list[str | int]:
        return [self.kind.value, str(self.timezone), self.week_start, self.month_day]

    def dispatch(self, calendar: "Callable[[Calendar], _Made]", rolling: "Callable[[Rolling], _Made]") -> _Made:  # noqa: ARG002 # one is its own
        return calendar(self)


@dataclass(frozen=True, slots=True)
class Rolling(Schedule):
    """The last `length_ns` (whole seconds), which move on in steps of at least 1/1440 of it that divide it evenly.

    `memory_ns` is for how long it is known after which step a window held how much: a day, but no longer than a window.
    """

    renews: ClassVar[bool] = False

    length_ns: int
    step_ns: int = field(init=False)
    memory_ns: int = field(init=False)

    def __post_init__(self) -> None:
        seconds, rest = divmod(self.length_ns, _SECOND)
        if rest or seconds < 1:
            raise ValueError(f"{self.length_ns} ns are not whole seconds")
        step = -(-seconds // _STEPS)
        while seconds % step:
            step += 1
        object.__setattr__(self, "step_ns", step * _SECOND)
        object.__setattr__(self, "memory_ns", min(self.length_ns, _DAY_NS - _DAY_NS % self.step_ns))

    def bucket(self, ns: int) -> int:
        """The start of the step that holds an instant."""
        return ns - ns % self.step_ns

    @property
    def zone_name(self) -> str:
        return "UTC"

    def current(self, now: int) -> Period:
        return self.window(now)

    def before(self, period: Period) -> Period:
        return Period(period.start - self.length_ns, period.start)

    def slot(self, ns: int) -> Period:
        start = self.bucket(ns)
        return Period(start, start + self.step_ns)

    def countable(self, ns: int, now: int) -> int | None:
        start = self.bucket(ns)
        return start if self.kept(now).start <= start <= now + AHEAD_NS else None

    def tracked(self, now: int) -> Sequence[int]:
        kept = self.kept(now)
        return range(kept.start, kept.end + AHEAD_NS, self.step_ns)

    def following(self, now: int) -> Sequence[int]:  # noqa: ARG002 # all steps are tracked
        return ()

    def recent(self, now: int, since: int | None) -> Sequence[int]:
        starts = self.tracked(now)
        first = starts[0] if since is None else max(starts[0], self.bucket(since))
        return first, starts[-1]

    def starts_between(self, first: int, last: int) -> list[int]:  # noqa: ARG002 # all are alike
        return []

    def event_period(self, slot: Period, evaluated_ns: int) -> Period:  # noqa: ARG002 # a step is not a window
        return self.window(evaluated_ns)

    def limit_text(self, label: str, end: str) -> str:  # noqa: ARG002 # the end of a step is not that of the limit
        return f"in the last {label}"

    def identity(self) -> list[str | int]:
        return ["rolling", self.length_ns]

    def dispatch(self, calendar: "Callable[[Calendar], _Made]", rolling: "Callable[[Rolling], _Made]") -> _Made:  # noqa: ARG002 # one is its own
        return rolling(self)

    def window(self, now_ns: int) -> Period:
        """The window that ends with the step of `now_ns`."""
        end = self.bucket(now_ns) + self.step_ns
        return Period(end - self.length_ns, end)

    def kept(self, now_ns: int) -> Period:
        """The steps of all windows of the last `memory_ns`."""
        window = self.window(now_ns)
        return Period(window.start - self.memory_ns, window.end)

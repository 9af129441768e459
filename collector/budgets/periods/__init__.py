"""When a budget's period starts and ends: calendar periods of a time zone, and rolling windows.

Instants are Unix nanoseconds. Local clocks jump: a period starts at the first instant at which its local clock shows
the start or later, so a midnight that is left out is the instant after the gap, and of one that comes twice it is the
first. Consecutive periods share their boundary.
"""

from collector.budgets.periods.local_periods import PeriodKind
from collector.budgets.periods.schedules import HORIZON_NS, Calendar, Period, Rolling, Schedule

__all__ = ["HORIZON_NS", "Calendar", "Period", "PeriodKind", "Rolling", "Schedule"]

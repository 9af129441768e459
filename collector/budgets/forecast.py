"""Where a period's spend is heading, were it to go on as it went so far."""

from dataclasses import dataclass

from collector.model.money import nearest


@dataclass(frozen=True, slots=True)
class Forecast:
    """`total` is the spend at the period's end; `breach_ns` when the limit is reached, None when it is not."""

    total: int
    breach_ns: int | None


def forecast(spend: int, limit: int, start_ns: int, end_ns: int, now_ns: int) -> Forecast | None:
    """The linear projection of `spend` since `start_ns` to `end_ns`; None before any time has passed.

    The breach is the first nanosecond at which the projection reaches the limit; spend that has reached it already
    breached by `now_ns`.
    """
    passed = min(now_ns, end_ns) - start_ns
    if passed <= 0:
        return None
    total = nearest(spend * (end_ns - start_ns), passed)
    if spend >= limit:
        return Forecast(total, min(now_ns, end_ns))
    if spend <= 0:
        return Forecast(total, None)
    breach_ns = start_ns - (-limit * passed // spend)
    return Forecast(total, breach_ns if breach_ns <= end_ns else None)

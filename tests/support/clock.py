"""Time that stands still until a test moves it."""


class FakeClock:
    """A `Clock` whose two clocks advance together."""

    def __init__(self, now_ns: int = 1_760_000_000_000_000_000) -> None:
        self.now_ns = now_ns
        self.passed = 0.0

    def advance(self, seconds: float) -> None:
        self.passed += seconds
        self.now_ns += int(seconds * 1e9)

    def set_back(self, seconds: float) -> None:
        """The wall clock is set; no time passes."""
        self.now_ns -= int(seconds * 1e9)

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.passed

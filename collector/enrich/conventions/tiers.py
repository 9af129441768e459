"""Which service tier a call was served in."""

_STANDARD_SPEEDS = frozenset({"", "standard", "normal", "default"})


def served_tier(speed: str, answered: str, stated: str, requested: str) -> str:
    """A speed of its own, else the tier the answer names, else one that a key states, else the one asked for.

    Providers downgrade requests they cannot serve in the tier asked for and bill the one they name in the answer.
    """
    if is_own_speed(speed):
        return speed
    return answered or stated or requested


def is_own_speed(speed: str) -> bool:
    """Whether a speed is billed apart from the tier (Anthropic's fast mode)."""
    return speed.lower() not in _STANDARD_SPEEDS

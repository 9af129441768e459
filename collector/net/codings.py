"""Which content coding a client takes (RFC 9110 section 12.5.3)."""

from collections.abc import Collection


def preferred_coding(accept_encoding: str, ours: Collection[str]) -> str:
    """The one of `ours` to answer in, by the client's weights and then by our order; "" for none."""
    weights = dict(_weight(part) for part in accept_encoding.lower().split(",") if part.strip())
    weighed = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in ours}
    best = max(weighed, key=lambda coding: weighed[coding])
    return best if weighed[best] > 0 else ""


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameters = part.strip().partition(";")
    name, _, value = parameters.strip().partition("=")
    try:
        return coding.strip(), float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0

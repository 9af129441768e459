"""Built-in redaction rules: what secrets and personal data look like."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

# What of a match (a text, start and end) is one indeed.
Check = Callable[[str, int, int], Iterable[tuple[int, int]]]

_API_KEYS: Final = (
    r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, OpenRouter, Langfuse
    r"pk-(?:lf-)?[A-Za-z0-9_-]{20,}",
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{30,}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{30,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"xapp-[A-Za-z0-9-]{10,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"r8_[A-Za-z0-9]{30,}",
    r"gsk_[A-Za-z0-9]{30,}",
    r"xai-[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[A-Za-z0-9_-]{30,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"lin_api_[A-Za-z0-9]{20,}",
    r"spm_[A-Za-z0-9_-]{30,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s:,-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
)
_BEARER: Final = (
    r"(?i:\b(?:bearer|basic)\s+[A-Za-z0-9._~+/-]{8,}=*)"
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"
)
_EMAIL: Final = r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_CARD: Final = r"[0-9](?:[ -]?[0-9]){12,}"
_LENGTHS: Final = range(19, 12, -1)


def _cards(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """In a run of digits, the numbers of 13 to 19 of them that stand apart and whose check digit is right."""
    places = [at for at in range(start, end) if text[at].isdigit()]
    first = 0
    while first < len(places):
        count = next((count for count in _LENGTHS if _is_card(text, places, first, count)), 0)
        if count:
            yield places[first], places[first + count - 1] + 1
        first += count or 1


def _is_card(text: str, places: list[int], first: int, count: int) -> bool:
    numbers = places[first : first + count]
    if len(numbers) < count or text[numbers[0]] not in "23456":
        return False
    begin, end = numbers[0], numbers[-1] + 1
    apart = not text[begin - 1 : begin].isalnum() and not text[end : end + 1].isalnum()
    return apart and _luhn([int(text[at]) for at in numbers])


def _luhn(digits: list[int]) -> bool:
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


BUILTINS: Final[dict[str, tuple[str, Check | None]]] = {
    "api_keys": ("|".join(_API_KEYS), None),
    "bearer_tokens": (_BEARER, None),
    "email": (_EMAIL, None),
    "card_numbers": (_CARD, _cards),
}

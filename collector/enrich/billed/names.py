"""Names of models and providers as numbers, which tell cheaply whether two reports may name one thing.

A model's number is made of its name without what varies between spellings: the provider's prefix, `-latest`, a price
variant (`:free`), the order and punctuation of its words; beside it of a date or release, which one may leave out and
another not; and of whether it is built as the names of public models are.
"""

import re
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from genai_prices.data import providers

from collector.enrich.prices.model_names import MAX_NAME, spellings

# Names come from senders: what was worked out is remembered, but not without end.
_MAX_REMEMBERED: Final = 8192

_WORD: Final = re.compile(r"[a-z]+|\d+[a-z]*")
_DATE: Final = re.compile(r"[-@:](20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?=$|[-@:])")
_RELEASE: Final = re.compile(r"[-@](\d{3,4})$")
_VARIANT: Final = re.compile(r"(?:[-@:]latest|:[a-z]+)$")

# Providers that instrumentations cannot tell apart: one SDK reaches both.
_ONE_PROVIDER: Final = {"google-vertex": "google"}


@lru_cache(maxsize=_MAX_REMEMBERED)
def model_number(name: str) -> int:
    """The number of a model's name; 0 for none. Positive, below 2**63.

    From the lowest bit: 1 for a name as public models have, 31 bits of date or release, 31 bits of the name itself.
    """
    if not name.strip() or len(name) > MAX_NAME:
        return 0
    words, release = _parts(name)
    return _hashed(" ".join(sorted(words))) << 32 | release << 1 | _is_public(words)


@lru_cache(maxsize=_MAX_REMEMBERED)
def provider_number(canonical: str) -> int:
    """The number of a provider's canonical name; 0 for none. Positive, below 2**31."""
    return _hashed(_ONE_PROVIDER.get(canonical, canonical)) if canonical else 0


def differ(first: int, second: int) -> bool:
    """Whether two numbers of models are of two models.

    A name that no public model would have (`prod-chat`) may be an alias or a deployment of one.
    """
    if not first or not second:
        return False
    if first >> 32 == second >> 32:
        return bool(release_of(first) and release_of(second)) and release_of(first) != release_of(second)
    return first & 1 == second & 1


class Models(NamedTuple):
    """The numbers of the model that was asked for and of the one that answered, 0 where unknown."""

    request: int = 0
    response: int = 0

    def differ(self, other: "Models") -> bool:
        """Whether these are two models: by those that answered, else when no name of one is a name of the other."""
        if self.response and other.response:
            return differ(self.response, other.response)
        mine, others = filter(None, self), tuple(filter(None, other))
        return any(self) and any(others) and all(differ(one, another) for one in mine for another in others)

    def merged(self, other: "Models") -> "Models":
        """What two reports of one call say together: of each the most exact."""
        return Models(_most_exact(self.request, other.request), _most_exact(self.response, other.response))


NO_MODELS: Final = Models()


def _most_exact(first: int, second: int) -> int:
    """The name of a public model before another, with a release before without; of such the smallest number."""
    return max(first, second, key=lambda number: (number > 0, number & 1, release_of(number) > 0, -number))


def release_of(number: int) -> int:
    """The date or release in a number of a model; 0 for none."""
    return number >> 1 & 0x7FFFFFFF


def _parts(name: str) -> tuple[list[str], int]:
    """The words of a model's name, and its date or release."""
    *_, (_, plain) = spellings(name.rstrip("/"))
    sent = _VARIANT.sub("", name.strip().lower())
    if dated := _DATE.search(sent):
        return _words(_DATE.sub("", plain)), int("".join(dated.groups()))
    plain = _VARIANT.sub("", plain)
    if released := _RELEASE.search(plain):
        return _words(plain[: released.start()]), int(released[1])
    return _words(plain), 0


def _words(name: str) -> list[str]:
    return _WORD.findall(_VARIANT.sub("", name)) or [name]


def _is_public(words: list[str]) -> bool:
    """Whether every word is one of the price library's models, and the first one the first of some."""
    firsts, known = _vocabulary()
    return words[0] in firsts and all(word in known or word.isdigit() for word in words)


@cache
def _vocabulary() -> tuple[frozenset[str], frozenset[str]]:
    """The first words of the names in the price library, and all words."""
    names = [_parts(model.id)[0] for provider in providers for model in provider.models]
    return frozenset(words[0] for words in names), frozenset(word for words in names for word in words)


def _hashed(text: str) -> int:
    """31 bits, never 0."""
    return (int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=4).digest()) >> 1) or 1

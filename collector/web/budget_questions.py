"""What callers say of a run that is about to begin: as JSON, or as headers and query parameters."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from collector.budgets.decisions import Estimate
from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected
from collector.model.money import picodollars
from collector.spending.enforcement import FIELDS, Run
from collector.web.bodies import known_only

HEADER = "x-spanmeter-"
_ATTRIBUTE_HEADER = "attribute-"

_ESTIMATES = ("estimate_usd", "estimate_tokens")
_PLAIN = (*FIELDS, *_ESTIMATES)
_KNOWN = (*_PLAIN, "attributes")
_MAX_ATTRIBUTES = 64
_MAX_TOKENS = 2**63 - 1

# Headers of our own answers: a gateway may pass them on, and to the next one they say nothing of a run.
_ANSWERED = ("budget", "scope", "spend", "reserved", "limit", "remaining", "unit", "reset", "reason", "degraded")


def run_of_json(project: str, body: Mapping[str, Any], *more: str) -> Run:
    """The run in a request's body, which may have `more` fields. Raises Rejected(MALFORMED) with a sentence."""
    if "project" in body:
        raise Rejected(Reason.MALFORMED, f"project cannot be said: it is your token's own, {project}.")
    known_only(body, (*_KNOWN, *more))
    stated = {name: _text(name, body[name]) for name in FIELDS if body.get(name) is not None}
    return Run(project, {**stated, **_attributes(body.get("attributes"))}, estimate_of(body, *_ESTIMATES))


def run_of_headers(
    project: str, headers: Mapping[str, str], query: Iterable[tuple[str, str]], attribute_keys: Iterable[str]
) -> Run:
    """The run that headers `x-spanmeter-FIELD` say, and query parameters where a header says nothing.

    Attributes are `x-spanmeter-attribute-KEY`, in any case, and `attribute.KEY`. Parameters not known are passed over;
    headers of ours that are not known are refused: what a misspelt one says would not be enforced.
    """
    own = {name[len(HEADER) :]: _utf8(value) for name, value in headers.items() if name.startswith(HEADER)}
    fields = {name.replace("-", "_"): value for name, value in own.items() if not name.startswith(_ATTRIBUTE_HEADER)}
    fields = {name: value for name, value in fields.items() if name not in _ANSWERED}
    names = [_dashed(name) for name in _PLAIN]
    known_only({_dashed(name): value for name, value in fields.items()}, names, "header")
    keys = {f"{_ATTRIBUTE_HEADER}{key.lower()}": f"{ATTRIBUTE}{key}" for key in attribute_keys}
    attributes = {keys[name]: value for name, value in own.items() if name in keys}
    asked = {name: value for name, value in query if name in _PLAIN or name.startswith(ATTRIBUTE)}
    values = {name: value for name, value in {**asked, **fields, **attributes}.items() if value}
    stated = {name: value for name, value in values.items() if name not in _ESTIMATES}
    return Run(project, stated, estimate_of(values, *_ESTIMATES))


def estimate_of(body: Mapping[str, Any], usd_name: str, tokens_name: str) -> Estimate:
    """Two amounts of a request, exactly as written. Raises Rejected(MALFORMED)."""
    return Estimate(_pico(usd_name, body.get(usd_name)), _tokens(tokens_name, body.get(tokens_name)))


def seconds_of(name: str, value: Any) -> float | None:
    """A number of seconds. Raises Rejected(MALFORMED)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value < 10**9:
        raise Rejected(Reason.MALFORMED, f"{name} is a number of seconds above 0, for example 600.")
    return float(value)


def _pico(name: str, value: Any) -> int | None:
    if value is None:
        return None
    sentence = f'{name}={str(value)[:40]!r} is not an amount: a number or string such as "0.25", at least 0.'
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Rejected(Reason.MALFORMED, sentence)
    try:
        pico = picodollars(value)
    except ValueError:
        raise Rejected(Reason.MALFORMED, sentence) from None
    if pico < 0:
        raise Rejected(Reason.MALFORMED, sentence)
    return pico


def _tokens(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = Decimal(value) if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or not 0 <= number <= _MAX_TOKENS or number != int(number):
        raise Rejected(Reason.MALFORMED, f"{name}={str(value)[:40]!r} is not a number of tokens: whole, at least 0.")
    return int(number)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Rejected(Reason.MALFORMED, f"{name} is a string, not {str(value)[:40]}.")
    return _whole(name, value)


def _whole(name: str, text: str) -> str:
    """JSON can escape half a character, which no answer in UTF-8 could repeat."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected(
            Reason.MALFORMED, f"{name}={text[:40]!r} is not Unicode: half a surrogate pair stands alone."
        ) from None
    return text


def _attributes(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise Rejected(Reason.MALFORMED, 'attributes is an object of strings, for example {"tenant": "acme"}.')
    if len(value) > _MAX_ATTRIBUTES:
        raise Rejected(Reason.MALFORMED, f"attributes has {len(value)} keys; {_MAX_ATTRIBUTES} is the most.")
    return {f"{ATTRIBUTE}{_whole('attributes', key)}": _whole("attributes", text) for key, text in value.items()}


def _dashed(name: str) -> str:
    return HEADER + name.replace("_", "-")


def _utf8(value: str) -> str:
    """Header bytes, which arrive read as Latin-1, as the UTF-8 they are if they are."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value

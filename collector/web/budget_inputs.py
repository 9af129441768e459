"""What callers state of a run that is about to begin: as JSON, or as headers and query parameters."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from collector.budgets.decisions import Estimate
from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected
from collector.spending.enforcement import FIELDS, Run
from collector.web.inputs import Attributes, Page, PageSize, Pico, Seconds, Text, TokenCount, pico, tokens
from collector.web.operation import Input
from collector.web.reading import known_only

HEADER = "x-spanmeter-"
_ATTRIBUTE_HEADER = "attribute-"

_ESTIMATES = ("estimate_usd", "estimate_tokens")
_PLAIN = (*FIELDS, *_ESTIMATES)

# Headers of our own answers: a gateway may pass them on, and to the next one they say nothing of a run.
_ANSWERED = (
    "budget",
    "scope",
    "spend",
    "reserved",
    "limit",
    "remaining",
    "unit",
    "reset",
    "reason",
    "degraded",
    "unseen",
)


class RunInput(Input):
    """A run that is about to begin: what the rules of budgets match by, and the most it may need."""

    service: Text = Field(None, description="The run's service, as in `service.name`.")
    environment: Text = Field(None, description="Its deployment environment.")
    provider: Text = Field(None, description="The provider of its model.")
    model: Text = Field(None, description="Its model.")
    agent: Text = Field(None, description="Its agent.")
    feature: Text = Field(None, description="Its feature.")
    user: Text = Field(None, description="Its user.")
    conversation: Text = Field(None, description="Its conversation.")
    purpose: Text = Field(None, description="What it is made for, when that is not the product: judge, ...")
    estimate_usd: Pico = Field(None, description="The most the run may need, USD.")
    estimate_tokens: TokenCount = Field(None, description="The most the run may need, tokens.")
    attributes: Attributes = Field(None, description="Attributes that budgets match by, without `attribute.`.")
    project: Annotated[SkipJsonSchema[object], Field(exclude=True)] = None

    def run(self, project: str) -> Run:
        """The run, of the token's project. Raises Rejected(MALFORMED) when it names another one itself."""
        if "project" in self.model_fields_set:
            raise Rejected(Reason.MALFORMED, f"project cannot be stated: it is your token's own, {project}.")
        values: dict[str, str | None] = {name: getattr(self, name) for name in FIELDS}
        stated = {name: value for name, value in values.items() if value is not None}
        return Run(project, {**stated, **(self.attributes or {})}, Estimate(self.estimate_usd, self.estimate_tokens))


class LeaseInput(RunInput):
    """As for a check; each hard budget that matches needs an estimate in its unit."""

    ttl_seconds: Seconds = Field(None, description="How long the amount is held; default: enforcement.lease_ttl.")


class SettleInput(Input):
    """What the run has cost in all, where that is known."""

    spent_usd: Pico = Field(None, description="USD.")
    spent_tokens: TokenCount = Field(None, description="Tokens.")

    def spent(self) -> Estimate:
        return Estimate(self.spent_usd, self.spent_tokens)


class LeasePath(Input):
    lease_id: str = Field(description="The lease's id.")


class BudgetPath(Input):
    name: str = Field(description="The budget's name; it may contain slashes.")


class RestPath(Input):
    rest: str = Field(description="Whatever path the gateway's client asked for; it is not looked at.")


class BudgetsQuery(Page):
    limit: PageSize = Field(20, description="How many budgets at most.")


class BudgetQuery(Page):
    """One page of a budget's scopes. Further parameters are values of its `per`, by name: only those scopes."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": {"type": "string"}})

    def where(self, per: Iterable[str]) -> dict[str, str]:
        """The values picked. Raises Rejected(MALFORMED) for a name that is not in `per`."""
        picked = dict(self.model_extra or {})
        known_only(picked, ("limit", "after", *per), "parameter")
        return picked


class GatewayQuery(Input):
    """For gateways that set no headers; `attribute.KEY` too. Other parameters are passed over."""

    model_config = ConfigDict(extra="allow")

    service: str = Field("", description="The run's service, as in `service.name`.")
    environment: str = Field("", description="Its deployment environment.")
    provider: str = Field("", description="The provider of its model.")
    model: str = Field("", description="Its model.")
    agent: str = Field("", description="Its agent.")
    feature: str = Field("", description="Its feature.")
    user: str = Field("", description="Its user.")
    conversation: str = Field("", description="Its conversation.")
    purpose: str = Field("", description="What it is made for, when that is not the product.")
    estimate_usd: str = Field("", description="The most the run may need, USD.")
    estimate_tokens: str = Field("", description="The most the run may need, tokens.")

    def given(self) -> Iterable[tuple[str, str]]:
        return self.model_dump().items()


class GatewayHeaders(Input):
    """`x-spanmeter-FIELD`, and `x-spanmeter-attribute-KEY` in any case. Unknown ones of ours are refused."""

    service: str = Field("", alias="x-spanmeter-service", description="The run's service, as in `service.name`.")
    environment: str = Field("", alias="x-spanmeter-environment", description="Its deployment environment.")
    provider: str = Field("", alias="x-spanmeter-provider", description="The provider of its model.")
    model: str = Field("", alias="x-spanmeter-model", description="Its model.")
    agent: str = Field("", alias="x-spanmeter-agent", description="Its agent.")
    feature: str = Field("", alias="x-spanmeter-feature", description="Its feature.")
    user: str = Field("", alias="x-spanmeter-user", description="Its user.")
    conversation: str = Field("", alias="x-spanmeter-conversation", description="Its conversation.")
    purpose: str = Field("", alias="x-spanmeter-purpose", description="What it is made for, if not for the product.")
    estimate_usd: str = Field("", alias="x-spanmeter-estimate-usd", description="The most the run may need, USD.")
    estimate_tokens: str = Field(
        "", alias="x-spanmeter-estimate-tokens", description="The most the run may need, tokens."
    )


def run_of_headers(
    project: str, headers: Mapping[str, str], query: Iterable[tuple[str, str]], attribute_keys: Iterable[str]
) -> Run:
    """The run that headers `x-spanmeter-FIELD` state, and query parameters where there is no header.

    Attributes are `x-spanmeter-attribute-KEY`, in any case, and `attribute.KEY`. Parameters not known are passed over;
    headers of ours that are not known are refused: what a misspelt one states would not be enforced. So are those given
    twice: the second may be the gateway's, or the client's.
    """
    ours = [(name[len(HEADER) :], _utf8(value)) for name, value in headers.items() if name.startswith(HEADER)]
    _once(name for name, _ in ours if name.replace("-", "_") not in _ANSWERED)
    own = dict(ours)
    fields = {name.replace("-", "_"): value for name, value in own.items() if not name.startswith(_ATTRIBUTE_HEADER)}
    fields = {name: value for name, value in fields.items() if name not in _ANSWERED}
    names = [_dashed(name) for name in _PLAIN]
    known_only({_dashed(name): value for name, value in fields.items()}, names, "header")
    keys = {f"{_ATTRIBUTE_HEADER}{key.lower()}": f"{ATTRIBUTE}{key}" for key in attribute_keys}
    attributes = {keys[name]: value for name, value in own.items() if name in keys}
    asked = {name: value for name, value in query if name in _PLAIN or name.startswith(ATTRIBUTE)}
    values = {name: value for name, value in {**asked, **fields, **attributes}.items() if value}
    stated = {name: value for name, value in values.items() if name not in _ESTIMATES}
    return Run(project, stated, _estimate(values))


def _once(names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise Rejected(Reason.MALFORMED, f"The header {HEADER + name[:100]!r} is given more than once.")


def _estimate(values: Mapping[str, str]) -> Estimate:
    usd, count = (values.get(name) for name in _ESTIMATES)
    return Estimate(
        None if usd is None else pico("estimate_usd", usd),
        None if count is None else tokens("estimate_tokens", count),
    )


def _dashed(name: str) -> str:
    return HEADER + name.replace("_", "-")


def _utf8(value: str) -> str:
    """Header bytes, which arrive read as Latin-1, as the UTF-8 they are if they are."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value

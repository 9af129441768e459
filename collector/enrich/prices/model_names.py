"""The names one model goes by: dated, version first, behind a gateway's prefix, as a path of Bedrock or Vertex AI."""

import re
from collections.abc import Callable, Iterator
from typing import Final

# Longer names are no model's; matching them would only cost time.
MAX_NAME: Final = 512
_MAX_PREFIXES: Final = 8

# Engines people run themselves: what they serve costs what an override says, never a vendor's list price.
_SELF_HOSTED: Final = frozenset(
    {
        *("hosted-vllm", "llama-cpp", "llama.cpp", "llamacpp", "llamafile", "lm-studio", "lmstudio", "localai", "mlx"),
        *("ollama", "ollama-chat", "sglang", "text-generation-inference", "tgi", "triton", "vllm", "xinference"),
    }
)
_REVISION: Final = re.compile(r"-v\d+(?::[0-9a-z]+)?$")
_DAY: Final = r"(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"
_DATE: Final = re.compile(rf"(?:[-@:]20\d\d-?{_DAY}|-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))$")
# What stands behind a name and does not change which model it is: the route a gateway is to take (OpenRouter's model
# variants), a context size (`[1m]`), Vertex AI's default version.
_VARIANT: Final = re.compile(r"(?::(?:nitro|floor|online|exacto|beta)|\[\d+[km]\]|@(?:default|latest))$")
_VERSION_FIRST: Final = re.compile(r"(?:^|(?<=/))claude-(\d)(?:[.-](\d))?-([a-z]+)(?![a-z])")
_BEDROCK: Final = re.compile(
    r"^(?:(us|us-gov|eu|apac|au|ca|jp|sa|in|global)\.)?"
    r"(ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen"
    r"|stability|writer|zai)\.(?=[a-z])"
)
# Behind a name that ends so nothing is paid; the same model without it is another price.
FREE: Final = ":free"
# What vendors put behind a name for its newest snapshot; some list it with a price, most do not.
LATEST: Final = "-latest"


def self_hosted(provider: str) -> bool:
    """Whether `provider` names an inference engine rather than a vendor."""
    return provider.strip().lower().replace("_", "-") in _SELF_HOSTED


def provider_spellings(provider: str) -> Iterator[str]:
    """`x_ai` is x-ai, `fireworks-ai` and `togetherai` are fireworks and together: try in this order."""
    name = provider.strip().lower()
    yield name
    yield name.replace("_", "-")
    yield name.removesuffix("ai").rstrip("-_. ")


def _nobody(_name: str) -> bool:
    return False


def spellings(model: str, is_provider: Callable[[str], bool] = _nobody) -> Iterator[tuple[str, str]]:
    """(provider named by the prefix or "", model) for every way to read `model`, the most literal first.

    The whole name, the name without its date, with its version last, then the same behind each prefix: `openai/x`,
    `azure/x`, `models/x`, `us.anthropic.x`, `openai:x`, nested ones and those of ARNs too. Names are lower case.
    """
    name = model.strip().lower()
    yield from _forms("", name)
    for _level in range(min(name.count("/"), _MAX_PREFIXES)):
        prefix, _, name = name.partition("/")
        yield from _forms(prefix, name)
    if bedrock := _BEDROCK.match(name):
        yield from _of_bedrock(name, bedrock[1], bedrock[2], name[bedrock.end() :])
    prefix, colon, rest = model.strip().lower().partition(":")
    if colon and "/" not in prefix and is_provider(prefix):
        yield from ((provider or prefix, spelling) for provider, spelling in spellings(rest))


def _of_bedrock(name: str, geography: str | None, vendor: str, model: str) -> Iterator[tuple[str, str]]:
    """A model at Bedrock: what is not listed for one geography costs what it does in others, or in one region."""
    yield from _forms("bedrock", name)
    if geography and geography != "global":
        yield from _forms("bedrock", f"us.{vendor}.{model}")
        yield from _forms("bedrock", f"{vendor}.{model}")
    yield from _forms(vendor, model)


def _forms(provider: str, name: str) -> Iterator[tuple[str, str]]:
    seen = {name}
    yield provider, name
    plain = _VARIANT.sub("", name)
    undated = _DATE.sub("", _REVISION.sub("", plain))
    for form in (plain, undated, *_version_last(undated)):
        if form not in seen:
            seen.add(form)
            yield provider, form


def _version_last(name: str) -> Iterator[str]:
    """`claude-4.7-opus` is claude-opus-4-7 to Anthropic and claude-opus-4.7 to gateways."""
    if found := _VERSION_FIRST.search(name):
        major, minor, family = found.groups()
        for dot in ".-":
            version = major + (dot + minor if minor else "")
            yield f"{name[: found.start()]}claude-{family}-{version}{name[found.end() :]}"

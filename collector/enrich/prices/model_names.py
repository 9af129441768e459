"""The names one model goes by: with a date, behind a gateway's prefix, as a Bedrock or Vertex AI path."""

import re
from collections.abc import Iterator
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
_DATE: Final = re.compile(r"[-@:]20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])$")
_BEDROCK: Final = re.compile(
    r"^(?:(?:us|us-gov|eu|apac|au|ca|jp|sa|global)\.)?"
    r"(ai21|amazon|anthropic|cohere|deepseek|meta|mistral|moonshot|openai|qwen|stability|writer)\.(?=[a-z])"
)


def self_hosted(provider: str) -> bool:
    """Whether `provider` names an inference engine rather than a vendor."""
    return provider.strip().lower().replace("_", "-") in _SELF_HOSTED


def provider_spellings(provider: str) -> Iterator[str]:
    """`x_ai` is x-ai, `fireworks-ai` and `togetherai` are fireworks and together: try in this order."""
    name = provider.strip().lower()
    yield name
    yield name.replace("_", "-")
    yield name.removesuffix("ai").rstrip("-_. ")


def spellings(model: str) -> Iterator[tuple[str, str]]:
    """(provider named by the prefix or "", model) for every way to read `model`, the most literal first.

    The whole name, the name without its date, then the same behind each prefix: `openai/x`, `azure/x`, `models/x`,
    `us.anthropic.x`, nested ones too. Names are lower case.
    """
    name = model.strip().lower()
    yield from _dated("", name)
    for _level in range(min(name.count("/"), _MAX_PREFIXES)):
        prefix, _, name = name.partition("/")
        yield from _dated(prefix, name)
    if bedrock := _BEDROCK.match(name):
        yield from _dated("bedrock", name)
        yield from _dated(bedrock[1], name[bedrock.end() :])


def _dated(provider: str, name: str) -> Iterator[tuple[str, str]]:
    yield provider, name
    undated = _DATE.sub("", _REVISION.sub("", name))
    if undated != name:
        yield provider, undated

"""One name for a provider, whatever an instrumentation calls it: `OpenAI`, `openai.chat` and `openai` are `openai`."""

from collector.enrich.conventions.families import Providers

_MAX_NAMES = 10_000
_MAX_NAME_LENGTH = 128


class ProviderNames:
    """Canonical names, as `schema/providers.yaml` lists them."""

    def __init__(self, providers: Providers) -> None:
        self._known = {
            alias.lower(): name for name, aliases in providers.canonical.items() for alias in (name, *aliases)
        }
        self.complete_output = frozenset(providers.complete_output)
        self._known.update((framework.lower(), "") for framework in providers.frameworks)
        self._seen: dict[str, str] = {}

    def canonical(self, sent: str) -> str:
        """The canonical name; empty for a framework. An unknown name is itself in lower case.

        What follows a known name and a dot is the provider's API: `openai.responses` is `openai`.
        """
        if len(sent) > _MAX_NAME_LENGTH:  # nobody's name: neither looked up nor remembered
            return sent.lower()
        name = self._seen.get(sent)
        if name is None:
            name = self._resolve(sent.strip().lower())
            if len(self._seen) >= _MAX_NAMES:  # names are the sender's: never let them grow without bound
                self._seen.clear()
            self._seen[sent] = name
        return name

    def _resolve(self, sent: str) -> str:
        head = sent
        while head:
            if head in self._known:
                return self._known[head]
            head = head.rpartition(".")[0]
        return sent

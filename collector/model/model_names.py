"""One name for a model, whichever of its names a request, an answer, a caller or a setting has."""

from typing import Final, NamedTuple, Protocol


class ModelNames(Protocol):
    """Who knows what models are called."""

    @property
    def identity(self) -> str:
        """The same in every process that gives the same names."""

    def model_name(self, provider: str, model: str) -> str:
        """The one name of the model that `provider` ("" where it is not known) calls `model`; "" for an unknown one."""


class NamedModel(NamedTuple):
    """The name of a call's model, and every name by which it may be matched: `name` is the first of them."""

    name: str
    names: tuple[str, ...]


class _AsSent:
    identity = ""

    def model_name(self, provider: str, model: str) -> str:  # noqa: ARG002 - the protocol's
        return ""


# Every model is called as it was sent.
AS_SENT: Final[ModelNames] = _AsSent()


def named(names: ModelNames, provider: str, *sent: str) -> NamedModel:
    """The model of a call that goes by the names `sent`, the one believed most first: the first that is known.

    Of models that are all unknown, the first name stands as it was sent.
    """
    given = [name for name in sent if name]
    known = [name for name in (names.model_name(provider, name) for name in given) if name]
    found = tuple(dict.fromkeys([*known[:1], *given, *known]))
    return NamedModel(found[0], found) if found else NamedModel("", ("",))

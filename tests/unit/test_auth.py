"""Who gets in: every way to present a token, scopes, anonymity, and tokens that change while running."""

import base64
import hashlib

import pytest

from collector.admit.auth import Gate, hash_token, mint
from collector.config import AuthConfig
from collector.errors import Reason, Rejected
from collector.model.principal import ANONYMOUS, Scope

WRITE, READ = Scope.TRACES_WRITE, Scope.TRACES_READ


def token_config(token: str, *scopes: Scope, project: str = "p", name: str = "holder") -> dict[str, object]:
    return {"name": name, "sha256": hash_token(token), "project": project, "scopes": scopes}


def gate(*tokens: dict[str, object], allow_anonymous: bool = False) -> Gate:
    return Gate(AuthConfig.model_validate({"tokens": tokens, "allow_anonymous": allow_anonymous}))


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def reason(guard: Gate, *headers: tuple[str, str], scope: Scope = WRITE) -> Reason:
    with pytest.raises(Rejected) as refused:
        guard.admit(headers, scope)
    return refused.value.reason


GUARD = gate(token_config("secret", WRITE), token_config("reader", READ, project="q", name="r"))


@pytest.mark.parametrize(
    "header",
    [
        ("authorization", "Bearer secret"),
        ("authorization", "bearer  secret "),
        ("authorization", "BEARER secret"),
        ("authorization", basic("anyone", "secret")),
        ("authorization", basic("", "secret")),
        ("x-api-key", "secret"),
        ("x-api-key", " secret "),
    ],
)
def test_ways_to_present_a_token(header: tuple[str, str]) -> None:
    principal = GUARD.admit([("content-type", "x"), header], WRITE)
    assert (principal.name, principal.project, principal.scopes) == ("holder", "p", frozenset({WRITE}))


@pytest.mark.parametrize(
    "header",
    [
        ("other", "Bearer secret"),
        ("authorization", ""),
        ("authorization", "secret"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer nope"),
        ("authorization", "Bearer secre"),
        ("authorization", "Bearer secrets"),
        ("authorization", "Bearer SECRET"),
        ("authorization", f"Bearer {hash_token('secret')}"),
        ("authorization", "Bearer \xff\xfe"),
        ("authorization", "Digest secret"),
        ("authorization", "Basic secret"),
        ("authorization", "Basic \xe9"),
        ("authorization", basic("secret", "")),
        ("authorization", "Basic " + base64.b64encode(b"secret").decode()),
        ("authorization", "Basic " + base64.b64encode(b"\xff:\xff").decode()),
        ("x-api-key", ""),
        ("x-api-key", "nope"),
    ],
)
def test_what_is_no_known_token(header: tuple[str, str]) -> None:
    assert reason(GUARD, header) is Reason.UNAUTHENTICATED
    assert (
        reason(gate(token_config("secret", WRITE), allow_anonymous=True), ("x-api-key", "nope"))
        is Reason.UNAUTHENTICATED
    )


def test_a_refusal_does_not_repeat_the_credentials() -> None:
    with pytest.raises(Rejected) as refused:
        GUARD.admit([("authorization", "Bearer hunter2")], WRITE)
    assert "hunter2" not in str(refused.value)
    assert "Authorization: Bearer" in str(refused.value)


def test_a_colon_in_a_basic_password_belongs_to_it() -> None:
    guard = gate(token_config("a:b", WRITE))
    assert guard.admit([("authorization", basic("user", "a:b"))], WRITE).project == "p"


def test_any_of_several_credentials_may_be_the_token() -> None:
    headers = [("authorization", basic("pk", "other-backend")), ("x-api-key", "secret")]
    assert GUARD.admit(headers, WRITE).project == "p"


def test_scopes() -> None:
    assert reason(GUARD, ("x-api-key", "reader")) is Reason.FORBIDDEN
    assert GUARD.admit([("x-api-key", "reader")], READ).project == "q"
    admin = gate(token_config("root", Scope.ADMIN))
    implied = set(Scope) - {Scope.QUERY_WRITE}
    assert all(admin.admit([("x-api-key", "root")], scope).name == "holder" for scope in implied)
    assert reason(admin, ("x-api-key", "root"), scope=Scope.QUERY_WRITE) is Reason.FORBIDDEN


def test_without_tokens_everyone_is_anonymous_whatever_they_send() -> None:
    for allowed in (False, True):
        guard = gate(allow_anonymous=allowed)
        for headers in ([], [("authorization", "Bearer any")], [("x-api-key", "any")], [("authorization", "odd")]):
            assert guard.admit(headers, WRITE) is ANONYMOUS


def test_beside_tokens_anonymity_is_only_on_request() -> None:
    assert reason(GUARD) is Reason.UNAUTHENTICATED
    guard = gate(token_config("secret", WRITE), allow_anonymous=True)
    assert guard.admit([], WRITE) is ANONYMOUS
    assert guard.admit([("x-api-key", "secret")], WRITE).name == "holder"


def test_tokens_are_replaced_at_once() -> None:
    guard = gate(token_config("old", WRITE))
    guard.reload(AuthConfig.model_validate({"tokens": [token_config("new", WRITE)]}))
    assert guard.admit([("x-api-key", "new")], WRITE).name == "holder"
    assert reason(guard, ("x-api-key", "old")) is Reason.UNAUTHENTICATED


def test_minted_tokens() -> None:
    minted = {mint() for _ in range(100)}
    assert len(minted) == 100
    for token, digest in minted:
        assert token.startswith("spm_")
        assert len(token) >= 47  # 256 bits in base64
        assert digest == hashlib.sha256(token.encode()).hexdigest()
        assert gate({"name": "n", "sha256": digest}).admit([("x-api-key", token)], WRITE).project == "default"

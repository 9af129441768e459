"""Settings of webhooks: targets that are safe, and secrets that nothing ever shows."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from collector.config import Config, WebhookConfig, load
from collector.errors import ConfigError

TEXT = "correct-horse-battery"
# A part of secrets that no sentence has by chance.
_NOWHERE_ELSE = "q~7Z"
GOOD: dict[str, Any] = {"url": "https://hooks.example.com/spend", "secret": TEXT}


def written(tmp_path: Path, tree: object) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return path


def refusal(tmp_path: Path, tree: object) -> str:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, tree))
    return str(refused.value)


def whsec(count: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(count))).decode()


TOO_SHORT = (
    "webhooks.ops.secret.0: is too short: a secret is whsec_ and the base64 of 24 to 64 bytes, or any other text of 16 "
    "characters or more"
)
NO_KEY = "webhooks.ops.secret.0: after whsec_ a secret has the base64 of 24 to 64 bytes; this one has not"
NO_URL = "webhooks.ops.url: is not a URL of the form https://host/path"
PRIVATE = "is of this machine or a private network; set allow_private: true"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"secret": None}, "webhooks.ops.secret: a webhook needs a secret, by which its receiver knows who sent an ev"),
        ({"secret": []}, "webhooks.ops.secret: a webhook needs a secret"),
        ({"secret": ""}, TOO_SHORT),
        ({"secret": "x" * 15}, TOO_SHORT),
        ({"secret": "whsec_"}, NO_KEY),
        ({"secret": whsec(23)}, NO_KEY),
        ({"secret": whsec(65)}, NO_KEY),
        ({"secret": whsec(32)[:-1]}, NO_KEY),
        ({"secret": "whsec_" + "not/base64!" * 4}, NO_KEY),
        ({"secret": TEXT + "\n"}, "webhooks.ops.secret.0: has blanks around it or characters that do not print"),
        ({"secret": "x" * 2001}, "webhooks.ops.secret.0: is longer than 2000 characters"),
        ({"secret": 12345678901234567890}, "webhooks.ops.secret.0: is not text; write the secret in quotes"),
        ({"secret": {"a": TEXT}}, "webhooks.ops.secret.0: is not text; write the secret in quotes"),
        ({"secret": [TEXT, TEXT]}, "webhooks.ops.secret: the same secret is written twice"),
        (
            {"secrets": [whsec(32)]},
            "webhooks.ops.secrets: secret and secrets are both set; put all of them into secrets",
        ),
        ({"secret": [whsec(24 + n) for n in range(11)]}, "webhooks.ops.secret: Value should have at most 10 items"),
        ({"url": None}, "webhooks.ops.url: is not text; write the URL in quotes"),
        ({"url": 1}, "webhooks.ops.url: is not text; write the URL in quotes"),
        ({"url": ""}, NO_URL),
        ({"url": "hooks.example.com"}, NO_URL),
        ({"url": "ftp://hooks.example.com"}, NO_URL),
        ({"url": "file:///etc/passwd"}, NO_URL),
        ({"url": "https:///path"}, NO_URL),
        ({"url": "https://host:0/"}, NO_URL),
        ({"url": "https://host:99999/"}, "webhooks.ops.url: is not a URL: its host or port cannot be read"),
        ({"url": "https://host:x/"}, "webhooks.ops.url: is not a URL: its host or port cannot be read"),
        ({"url": "https://[::1/"}, "webhooks.ops.url: is not a URL: its host or port cannot be read"),
        ({"url": "https://ex ample.com/"}, "webhooks.ops.url: has blanks or characters that a URL has to percent-enc"),
        ({"url": "https://example.com/\n"}, "webhooks.ops.url: has blanks or characters that a URL has to percent-enc"),
        ({"url": "https://ex\u00e4mple.com/"}, "webhooks.ops.url: has blanks or characters that a URL has to percent"),
        ({"url": "https://example.com\\@127.0.0.1/"}, "webhooks.ops.url: has blanks or characters that a URL has to"),
        ({"url": "https://u:p@example.com/"}, "webhooks.ops.url: holds a user or password, which are not sent"),
        ({"url": "https://@example.com/"}, "webhooks.ops.url: holds a user or password, which are not sent"),
        ({"url": "https://example.com/#x"}, "webhooks.ops.url: holds a fragment (#...), which is not sent"),
        ({"url": "https://example.com/" + "x" * 2000}, "webhooks.ops.url: is longer than 2000 characters"),
        (
            {"url": "http://example.com/"},
            "webhooks.ops.url: is not encrypted; use https://, or set allow_private: true",
        ),
        ({"url": "http://localhost:9000/"}, f"webhooks.ops.url: 'localhost' {PRIVATE}"),
        ({"url": "https://LOCALHOST./"}, f"webhooks.ops.url: 'localhost.' {PRIVATE}"),
        ({"url": "https://127.0.0.1/"}, f"webhooks.ops.url: '127.0.0.1' {PRIVATE}"),
        ({"url": "https://10.1.2.3/"}, f"webhooks.ops.url: '10.1.2.3' {PRIVATE}"),
        ({"url": "https://169.254.169.254/"}, f"webhooks.ops.url: '169.254.169.254' {PRIVATE}"),
        ({"url": "https://0.0.0.0/"}, f"webhooks.ops.url: '0.0.0.0' {PRIVATE}"),
        ({"url": "https://[::1]/"}, f"webhooks.ops.url: '::1' {PRIVATE}"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, f"webhooks.ops.url: '::ffff:10.0.0.1' {PRIVATE}"),
        ({"url": "https://[fe80::1%25eth0]/"}, f"webhooks.ops.url: 'fe80::1%25eth0' {PRIVATE}"),
        ({"url": "https://hooks.internal/"}, f"webhooks.ops.url: 'hooks.internal' {PRIVATE}"),
        ({"allow_private": "perhaps"}, "webhooks.ops.allow_private: Input should be a valid boolean"),
        ({"template": "teams"}, "webhooks.ops.template: Input should be 'standard', 'json' or 'slack'"),
        ({"timeout": "0s"}, "webhooks.ops.timeout: Input should be greater than 0"),
        ({"timeout": "10m"}, "webhooks.ops.timeout: Input should be less than or equal to 300"),
        ({"max_concurrency": 0}, "webhooks.ops.max_concurrency: Input should be greater than or equal to 1"),
        ({"secrt": TEXT}, "webhooks.ops.secrt: unknown setting; did you mean secret?"),
    ],
)
def test_a_mistake_has_its_sentence_and_tells_no_secret(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    found = refusal(tmp_path, {"webhooks": {"ops": {**GOOD, **changes}}})
    _, line = found.splitlines()
    assert line.strip().startswith(sentence)
    assert TEXT not in found
    secret = changes.get("secret")
    if isinstance(secret, str) and len(secret) > 8:
        assert secret[6:] not in found


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"webhooks": [{"name": "ops", **GOOD}]}, "webhooks: takes a mapping, as lines `key: value`"),
        ({"webhooks": {"ops": "https://hooks.example.com"}}, "webhooks.ops: takes settings, as lines `key: value`"),
        ({"webhooks": {"ops": [GOOD]}}, "webhooks.ops: takes settings, as lines `key: value`"),
        ({"webhooks": {"ops": None}}, "webhooks.ops: takes settings, as lines `key: value`"),
        ({"webhooks": {"a b": GOOD}}, "webhooks.a b: String should match pattern"),
        ({"webhooks": {"a.b": GOOD}}, "webhooks.a.b: String should match pattern"),
        ({"webhooks": {"": GOOD}}, "webhooks.: String should match pattern"),
        ({"webhooks": {"x" * 2**20: GOOD}}, "webhooks.'xxxxxx"),
        ({"webhooks": {1: GOOD}}, "webhooks.1: takes text; write it in quotes"),
        ({"webhook": {"ops": GOOD}}, "webhook: unknown setting; did you mean webhooks?"),
    ],
)
def test_mistakes_around_webhooks(tmp_path: Path, tree: object, sentence: str) -> None:
    _, line = refusal(tmp_path, tree).splitlines()
    assert line.strip().startswith(sentence)
    assert len(line) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": whsec(24)},
        {"secret": whsec(64)},
        {"secret": [whsec(32), TEXT]},
        {"secret": None, "secrets": [whsec(32), TEXT]},
        {"secret": None, "template": "slack", "url": "https://hooks.slack.com/services/T/B/x"},
        {"url": "https://8.8.8.8:8443/?a=b"},
        {"url": "https://[2606:4700::1111]/"},
        {"url": "http://localhost:9000/", "allow_private": True},
        {"url": "http://10.0.0.1/", "allow_private": True},
    ],
)
def test_what_may_be_written(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = load(written(tmp_path, {"webhooks": {"ops": {**GOOD, **changes}}})).webhooks["ops"]
    assert found.url == {**GOOD, **changes}["url"]


def test_secrets_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", TEXT)
    (tmp_path / "secret").write_text(whsec(32) + "\n")
    secrets = ["${env:HOOK_SECRET}", f"${{file:{tmp_path}/secret}}"]
    for written_as in ({"secrets": secrets}, {"secret": secrets}):
        tree = {"webhooks": {"ops": {"url": GOOD["url"], **written_as}}}
        assert load(written(tmp_path, tree)).webhooks["ops"].signing_secrets == (TEXT, whsec(32))
    assert WebhookConfig.model_validate(GOOD).signing_secrets == (TEXT,)


def test_settings_never_show_secrets(tmp_path: Path) -> None:
    url = "https://hooks.slack.com/services/T000/B000/XXXX"
    tree = {"webhooks": {"ops": {"url": url, "secrets": [TEXT, whsec(32)]}}}
    config = load(written(tmp_path, tree))
    shown = f"{config!r} {config} {config.webhooks} {config.webhooks['ops'].model_dump(mode='json')}"
    assert TEXT not in shown
    assert whsec(32) not in shown
    assert "XXXX" not in repr(config)
    assert config.webhooks["ops"].origin == "https://hooks.slack.com"


def test_an_error_of_validation_shows_no_secret_either() -> None:
    """Not even where `load` does not come between."""
    tree = {"webhooks": {"ops": {**GOOD, "secret": [TEXT, "short"]}}}
    with pytest.raises(ValueError, match="is too short") as refused:
        Config.model_validate(tree)
    assert TEXT not in str(refused.value)
    assert "short'" not in str(refused.value)


def test_yaml_that_cannot_be_read_does_not_show_its_lines(tmp_path: Path) -> None:
    found = refusal(tmp_path, f'webhooks:\n  ops: {{url: "https://x", secret: "{TEXT}}}\n')
    assert TEXT not in found
    assert "is not YAML: found unexpected end of stream in line 3, column 1." in found


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_secret_is_taken_or_refused_without_showing_it(before: str, after: str) -> None:
    secret = before + _NOWHERE_ELSE + after
    try:
        taken = WebhookConfig.model_validate({**GOOD, "secret": secret}).signing_secrets
    except ValueError as error:
        assert len(secret) < 16 or secret.startswith("whsec_") or not secret.isprintable() or secret != secret.strip()
        assert _NOWHERE_ELSE not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert taken == (secret,)

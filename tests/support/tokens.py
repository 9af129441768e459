"""Tokens of a daemon that wants one with every request."""

import hashlib

import yaml

READER, WRITER, OTHER = "spm_reader-secret", "spm_writer-secret", "spm_other-secret"

ALL_TOKENS = (
    (WRITER, "one", ["traces:write", "traces:read"]),
    (READER, "one", ["traces:read"]),
    (OTHER, "two", ["traces:write", "traces:read"]),
)


def token_config(*tokens: tuple[str, str, list[str]]) -> str:
    """Configuration text that accepts (token, project, scopes)."""
    entries = [
        {"name": token, "sha256": hashlib.sha256(token.encode()).hexdigest(), "project": project, "scopes": scopes}
        for token, project, scopes in tokens
    ]
    return yaml.safe_dump({"auth": {"tokens": entries}})

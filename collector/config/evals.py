"""Settings of judging by itself."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from collector.config.settings import Section, Written, refuse, section, setting
from collector.config.verdict_export import VerdictExportConfig

JudgeName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class JudgeConfig(Section):
    """A model that judges."""

    dialect: Literal["openai", "anthropic"] = setting("openai", "Which API it has.")
    base_url: str = setting(..., "Where it answers, such as https://api.openai.com/v1.")
    model: str = setting(..., "The model.", min_length=1)
    key_env: str = setting("", "Environment variable that holds its key.")
    provider: str = setting("", "Whose prices count, when not those of the dialect: azure, mistral, ...")
    allow_private: bool = setting(False, "May lie on this machine or in a private network, and be asked without TLS.")
    max_concurrency: int = setting(4, "Calls in flight at once.", ge=1, le=100)

    @model_validator(mode="after")
    def _safe(self) -> "JudgeConfig":
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            refuse([("base_url", "is not a URL of the form https://host/path, without a user")])
        if parts.scheme == "http" and not self.allow_private:
            refuse(
                [("base_url", "is not encrypted; use https://, or set allow_private: true inside a private network")]
            )
        return self


class EvalsConfig(Section):
    enabled: bool = setting(True, "Judge runs once they are settled; otherwise on demand only.", reloadable=True)
    files: Annotated[tuple[str, ...], Written("list (path or pattern)")] = setting(
        (), "Files of evaluators, besides `evaluators`: evaluators/*.yaml.", reloadable=True
    )
    commands: bool = setting(False, "Whether evaluators of kind command may start programs here.", reloadable=True)
    export: VerdictExportConfig = section(
        VerdictExportConfig, "Verdicts of evaluators and people that go out by OTLP.", reloadable=True
    )

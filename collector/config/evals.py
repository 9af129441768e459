"""Settings of judging by itself."""

from typing import Annotated, Literal

from pydantic import Field

from collector.config.settings import Section, Written, setting

JudgeName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class JudgeConfig(Section):
    """A model that judges."""

    dialect: Literal["openai", "anthropic"] = setting("openai", "Which API it has.")
    base_url: str = setting(..., "Where it answers, such as https://api.openai.com/v1.")
    model: str = setting(..., "The model.", min_length=1)
    key_env: str = setting("", "Environment variable that holds its key.")


class EvalsConfig(Section):
    enabled: bool = setting(True, "Judge runs once they are settled; otherwise on demand only.", reloadable=True)
    files: Annotated[tuple[str, ...], Written("list (path or pattern)")] = setting(
        (), "Files of evaluators, besides `evaluators`: evaluators/*.yaml.", reloadable=True
    )
    commands: bool = setting(False, "Whether evaluators of kind command may start programs here.", reloadable=True)

"""The guide's code runs as it is printed, against the real server."""

import asyncio
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.model.money import picodollars
from collector.spending.enforcement import Run
from tests.support.budgets import MONTH, Desk
from tests.support.webserver import Web, serving
from tests.support.webservices import application, services

GUIDE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text()


def block(marker: str) -> str:
    """The Python of the guide that holds `marker`."""
    found = [code for code in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if marker in code]
    assert len(found) == 1
    return str(found[0])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, {**MONTH, "limit_usd": "0.15", "match": {"service": "litellm"}})
    yield desk
    desk.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    with serving(application(services(desk.enforcement, desk.clock))) as web:
        yield web


class HTTPException(Exception):  # noqa: N818 - as FastAPI's, which is not installed here
    def __init__(self, status_code: int, detail: Any, headers: dict[str, str]) -> None:
        super().__init__(status_code)
        self.status_code, self.detail, self.headers = status_code, detail, headers


def test_the_hook_for_litellm(desk: Desk, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called as LiteLLM's proxy calls its handlers."""
    stand_ins: dict[str, dict[str, Any]] = {
        "fastapi": {"HTTPException": HTTPException},
        "litellm": {},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
    }
    for name, values in stand_ins.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("SPANMETER_URL", web.url)
    written: dict[str, Any] = {}
    exec(block("BudgetHook"), written)
    hook = written["budget_hook"]
    key = types.SimpleNamespace(end_user_id=None)

    def reserved() -> int:
        decision = desk.enforcement.check(Run("default", {"service": "litellm"}))
        assert decision.budget
        return decision.budget.reserved

    async def calls() -> None:
        data = await hook.async_pre_call_hook(key, None, {"model": "gpt-5"}, "completion")
        assert reserved() == picodollars("0.10")
        with pytest.raises(HTTPException) as caught:
            await hook.async_pre_call_hook(key, None, {"model": "gpt-5"}, "completion")
        assert (caught.value.status_code, caught.value.headers) == (429, {"retry-after": "10"})
        assert caught.value.detail["error"].startswith("The budget 'month' has 0.05 USD of 0.15 USD left")
        logged = {"litellm_params": {"metadata": data["metadata"]}, "response_cost": 0.0123}
        await hook.async_log_success_event(logged, None, None, None)
        assert reserved() == picodollars("0.0123")
        data = await hook.async_pre_call_hook(key, None, {"model": "gpt-5", "metadata": {"a": "b"}}, "completion")
        assert data["metadata"]["a"] == "b"
        failed = {"litellm_params": {"metadata": data["metadata"]}}
        await hook.async_log_failure_event(failed, None, None, None)
        assert reserved() == picodollars("0.0123")
        assert hook.leases == {}

    asyncio.run(calls())


def test_the_example_with_the_openai_sdk(desk: Desk, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace

    from spanmeter import Budget

    reply = types.SimpleNamespace(choices=[types.SimpleNamespace(message=types.SimpleNamespace(content="42"))])
    completions = types.SimpleNamespace(create=lambda **_: reply)
    module = types.ModuleType("openai")
    vars(module)["OpenAI"] = lambda: types.SimpleNamespace(chat=types.SimpleNamespace(completions=completions))
    monkeypatch.setitem(sys.modules, "openai", module)
    written: dict[str, Any] = {"budget": Budget(web.url), "tracer": trace.get_tracer("test")}
    exec(block("OpenAI()"), written)
    assert written["answer"]("How much?", "ann") == "42"
    assert len(desk.enforcement.open_leases()) == 1

"""A daemon with judges that answer as they are called, and runs for them to judge."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.support.agent_runs import Step, request, send
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

# USD per million tokens of every fake model, in and out.
PRICE_IN, PRICE_OUT = 3, 15
ANSWER = "You may return it within 30 days."


def settings(server: str, behaviours: Iterable[str], **more: Any) -> dict[str, Any]:
    """A judge and an evaluator for each behaviour, by its name; `more` are further settings."""
    names = list(behaviours)
    judges = {
        _name(one): {"base_url": server, "model": f"fake-{one}", "allow_private": True, "max_concurrency": 8}
        for one in names
    }
    return {
        "pricing": {
            "overrides": [{"model": "fake-", "match": "prefix", "input": PRICE_IN, "output": PRICE_OUT, "name": "fake"}]
        },
        "judges": judges,
        "evals": {"enabled": False},
        **more,
        "evaluators": [*(evaluator(one) for one in names), *more.get("evaluators", ())],
    }


def evaluator(behaviour: str, **more: Any) -> dict[str, Any]:
    """One that asks the judge of that behaviour."""
    use = {"use": _name(behaviour), **more.pop("judge", {})}
    return {
        "name": behaviour,
        "settle": "0s",
        "kind": "judge",
        "rubric": "Passes when the answer states the 30-day window.",
        "judge": use,
        **more,
    }


def _name(behaviour: str) -> str:
    return behaviour.replace(".", "_")


def write(path: Path, values: Mapping[str, Any]) -> Path:
    """A file of settings."""
    path.write_text(yaml.safe_dump(dict(values)))
    return path


def asked_run(number: int, start_ns: int) -> bytes:
    """A run of an agent that answers a question about returns."""
    return request(
        [
            Step(
                "invoke_agent shop", 0, 900, -1, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop"}
            ),
            Step(
                "chat gpt-4o-mini",
                10,
                800,
                0,
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.usage.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 20,
                    "gen_ai.input.messages": _message("user", f"May I return order {number}?"),
                    "gen_ai.output.messages": _message("assistant", ANSWER),
                },
            ),
        ],
        number,
        start_ns,
        service="shop",
    )


def late_answer(number: int, start_ns: int, text: str) -> bytes:
    """A further call of such a run, which comes later."""
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.input.messages": _message("user", "Are you sure?"),
        "gen_ai.output.messages": _message("assistant", text),
    }
    stored = Step("there already", 0, 900), Step("there already", 10, 800, 0)
    late = Step("chat gpt-4o-mini", 820, 60, 0, told)
    return request([*stored, late], number, start_ns, service="shop", leave_out={0, 1})


def _message(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def trace(number: int) -> str:
    return f"{number:032x}"


def send_runs(daemon: Daemon, numbers: Iterable[int]) -> None:
    """Have runs stored, and wait until they are."""
    sent = list(numbers)
    for number in sent:
        send(daemon.http, asked_run(number, time.time_ns() - 600 * 10**9))
    for number in sent:
        daemon.trace(trace(number), 2)


def get(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(path)
    assert status == 200, body
    return json.loads(body, parse_float=Decimal)


def post(daemon: Daemon, path: str, body: object) -> Any:
    made = urllib.request.Request(
        f"{daemon.web}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(made) as response:
        return json.load(response)


def start_job(daemon: Daemon, **body: object) -> str:
    """The path of a job that judges."""
    answer = post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01", **body})
    return f"/api/v1/jobs/{answer['job']['id']}"


def judge(daemon: Daemon, seconds: float = 60, **body: object) -> Any:
    """The result of a job that judges."""
    path = start_job(daemon, **body)
    wait_until(lambda: bool(get(daemon, path)["job"]["finished_at"]), seconds, "the job")
    job = get(daemon, path)["job"]
    assert job["state"] == "succeeded", job
    return job["result"]


def evaluations(daemon: Daemon, query: str = "") -> list[Any]:
    """All that was found, page by page."""
    found: list[Any] = []
    after = ""
    while True:
        page = get(daemon, f"/api/v1/evaluations?limit=1000{query}{after}")
        found += page["evaluations"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def spent(daemon: Daemon, by: str = "purpose") -> dict[str, Decimal]:
    """What calls have cost, USD, by what they were made for, or otherwise."""
    rows = get(daemon, f"/api/v1/spend?by={by}&since=2020-01-01")["spend"]
    return {row["value"]: Decimal(row["cost"] or 0) for row in rows}


def receipts(found: Iterable[Any]) -> Decimal:
    """What rows say that judging has cost."""
    return sum((Decimal(one["receipt"]["cost"]) for one in found if one["receipt"]["cost"]), Decimal(0))


def budget_bytes(daemon: Daemon, name: str) -> bytes:
    """A budget as it is answered, but for what is expected of the rest of the period, which time alone changes."""
    status, body = daemon.get(f"/api/v1/budgets/{name}")
    assert status == 200, body
    return re.sub(rb'"forecast":(null|"[^"]*"|{[^}]*})', b'"forecast":null', body)

"""Asking a daemon to judge the runs that it has, and reading what it answers."""

import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

RUNS = 3


def trace(number: int) -> str:
    return f"{number:032x}"


def get(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(path)
    assert status == 200, body
    return json.loads(body)


def post(daemon: Daemon, path: str, body: object) -> tuple[int, Any]:
    made = urllib.request.Request(
        f"{daemon.web}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(made) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def judge(daemon: Daemon, **body: object) -> Any:
    """The result of a job that judges."""
    status, answer = post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01", **body})
    assert status == 202, answer
    path = f"/api/v1/jobs/{answer['job']['id']}"
    wait_until(lambda: bool(get(daemon, path)["job"]["finished_at"]), 60, "the job")
    job = get(daemon, path)["job"]
    assert job["state"] == "succeeded", job
    assert job["done"] == job["total"] == RUNS
    return job["result"]

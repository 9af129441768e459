"""`spanmeter reprice` while a daemon has the data directory: it watches the daemon's job, and Ctrl-C cancels it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.billing.reprice import LATER, Outcome, Selection
from collector.cli import main
from collector.errors import Reason, Unavailable
from collector.files import lock_directory
from collector.model.progress import Progress
from tests.support.budgets import Desk
from tests.support.webserver import Web, serving
from tests.support.webservices import application, services


class Pricing:
    """Stands for pricing: three steps of ten calls; when `endless`, the first until it is cancelled."""

    def __init__(self) -> None:
        self.asked: list[tuple[Selection, bool]] = []
        self.started = threading.Event()
        self.endless = False
        self.fails = False

    def __call__(self, selection: Selection, dry_run: bool, progress: Progress) -> Outcome:
        self.asked.append((selection, dry_run))
        self.started.set()
        if self.fails:
            raise Unavailable(Reason.STORE, "The store does not answer.")
        while self.endless:
            progress(10, 30)
        outcome = Outcome()
        for step in range(4):
            progress(10 * step, 30)
        outcome.models["gpt-5"].calls = 30
        outcome.written = 0 if dry_run else 7
        return outcome


@pytest.fixture
def pricing() -> Pricing:
    return Pricing()


@pytest.fixture
def data(tmp_path: Path, pricing: Pricing) -> Iterator[tuple[Path, Web]]:
    """A data directory as a running daemon holds it."""
    desk = Desk(tmp_path)
    parts = services(desk.enforcement, desk.clock, reprice=pricing)
    (tmp_path / "spool").mkdir()
    lock = lock_directory(tmp_path / "spool")
    with serving(application(parts)) as web:
        (tmp_path / "ports.json").write_text(json.dumps({"web": web.port}))
        yield tmp_path, web
    parts.jobs.close()
    os.close(lock)
    desk.close()


def test_the_daemon_does_it(data: tuple[Path, Web], pricing: Pricing, capsys: pytest.CaptureFixture[str]) -> None:
    directory, web = data
    assert main(["reprice", "--data-dir", str(directory), "--since", "2026-11-01", "--model", "gpt-5"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "7 calls have a new version."
    assert out.splitlines()[1].split()[:2] == ["gpt-5", "30"]
    assert err == "", "no progress bar where there is no terminal"
    assert [dry_run for _, dry_run in pricing.asked] == [True, False]
    assert {selection.until for selection, _ in pricing.asked} == {LATER}
    assert {selection.model for selection, _ in pricing.asked} == {"gpt-5"}
    jobs = web.ask("GET", "/api/v1/jobs").body["jobs"]
    assert [(job["state"], job["done"], job["total"]) for job in jobs] == [("succeeded", 30, 30)] * 2


def test_ctrl_c_cancels_the_job(data: tuple[Path, Web], pricing: Pricing) -> None:
    directory, web = data
    pricing.endless = True
    command = [sys.executable, "-m", "collector", "reprice", "--data-dir", str(directory), "--since", "2026-11-01"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert pricing.started.wait(60)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        1,
        "spanmeter: Cancelled; calls that were written until then keep their new version.\n",
    )
    (job,) = web.ask("GET", "/api/v1/jobs").body["jobs"]
    assert (job["state"], job["done"], job["total"], job["result"]) == ("cancelled", 10, 30, None)


def test_a_failure_is_a_sentence(data: tuple[Path, Web], pricing: Pricing, capsys: pytest.CaptureFixture[str]) -> None:
    pricing.fails = True
    assert main(["reprice", "--data-dir", str(data[0]), "--since", "2026-11-01"]) == 1
    assert capsys.readouterr().err.endswith("could not do it: The store does not answer.\n")

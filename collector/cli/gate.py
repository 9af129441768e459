"""`spanmeter gate`: run a command, judge what it exported, and compare with the approved baseline."""

import argparse
import getpass
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import pyarrow as pa
import pyarrow.compute as pc

from collector.cli.daemon import TOKEN_VARIABLE, ask
from collector.cli.gate_daemon import BATCH_ATTRIBUTE, GateDaemon, gate_daemon, rows_at, runs_at
from collector.cli.jobs import progress_bar
from collector.cli.times import moment
from collector.errors import ConfigError, Reason, Rejected, StartError
from collector.evals.evaluator import Evaluator
from collector.evals.questions import with_judge
from collector.exports.evaluations import evaluation_records
from collector.gate.calibration import Measured, measured_of, read_calibration, write_calibration
from collector.gate.collect import CaseRun, case_run, evaluations_of, trial_of
from collector.gate.comment import comment
from collector.gate.decide import Check, Decided, Exit, decide, doubt, uncalibrated
from collector.gate.judging import judge_all
from collector.gate.junit import junit_xml
from collector.gate.policy import Loaded, load_policy
from collector.gate.record import Record, Trial, flips, read_baseline, write_baseline
from collector.gate.result import result_json
from collector.gate.words import change, detectable, headline, interval, level, warnings
from collector.model.clock import SystemClock
from collector.model.evaluations import Evaluation
from collector.web.times import rfc3339

_LAST: Final = Path("last")
_RECORD: Final = "record.json"
_RUNS: Final = "runs.arrow"
_PROJECT: Final = "default"
_URL: Final = "http://127.0.0.1:8080"
_DAY: Final = 86_400 * 10**9
_PROTOBUF: Final = "application/x-protobuf"
_ROWS_AT_ONCE: Final = 500


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,  # noqa: ARG001 - a gate's daemon has settings of its own
) -> None:
    """Add the commands to the parser's."""
    text = "Say whether a change made the agent worse or dearer than the approved baseline."
    gate = commands.add_parser("gate", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = gate.add_parser(name, help=text, description=text)
        command.set_defaults(command=run)
        command.add_argument(
            "-f", "--file", type=Path, default=Path("gate.yaml"), help="the policy; default: gate.yaml"
        )
        return command

    run = add("run", _run, "Run a command, and judge what it exported: no server is needed.")
    _add_reports(run)
    run.add_argument(
        "--quiet", type=float, default=2.0, metavar="SECONDS", help="no span arrives for so long: all are there"
    )
    run.add_argument("--patience", type=float, default=60.0, metavar="SECONDS", help="how long spans are waited for")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")

    check = add("check", _check, "Judge runs that were recorded: the last gate's, in OTLP files, or in a daemon.")
    _add_reports(check)
    check.add_argument(
        "--otlp", type=Path, action="append", default=[], metavar="FILE", help="OTLP/JSON requests, a line each"
    )

    check.add_argument("--batch", default="", metavar="ID", help="the runs of a daemon with spanmeter.gate.batch=ID")
    check.add_argument("--url", default=_URL, help=f"that daemon; default: {_URL}, with the token in SPANMETER_TOKEN")
    check.add_argument(
        "--otlp-url", default="", metavar="URL", help="its OTLP/HTTP endpoint: what is found is stored there, too"
    )
    check.add_argument("--since", type=moment, help="first start of these runs; default: a day ago")

    baseline = gate.add_parser("baseline", help="The approved baseline.").add_subparsers(
        required=True, metavar="COMMAND"
    )
    approve = baseline.add_parser("approve", help="Make the last gate's result the baseline.")
    approve.set_defaults(command=_approve)
    approve.add_argument("-f", "--file", type=Path, default=Path("gate.yaml"), help="the policy; default: gate.yaml")
    approve.add_argument("--by", default="", metavar="NAME", help="who approves; default: the user")

    calibrate = add(
        "calibrate", _calibrate, "Ask a daemon how far people agree with the judges, and keep it for review."
    )
    calibrate.add_argument(
        "--url", default=_URL, help=f"that daemon; default: {_URL}, with the token in SPANMETER_TOKEN"
    )

    add("noise", _noise, "Judge the last gate's runs twice more, and say how often judges contradict themselves.")


def _add_reports(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", type=Path, metavar="FILE", help="write the result, by docs/gate-result.schema.json")
    command.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="write it as a comment for a pull request")
    command.add_argument("--trace-link", default="", metavar="URL", help="what comes before a trace id in links")


def _run(options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise ConfigError("gate run takes a command after --: spanmeter gate run -- pytest tests/agents")
    loaded = load_policy(options.file)
    evaluators = _evaluators(loaded)
    batch = f"gate-{secrets.token_hex(6)}"
    expected = len(loaded.policy.cases) * loaded.policy.trials
    with tempfile.TemporaryDirectory(prefix="spanmeter-gate-") as directory, gate_daemon(Path(directory)) as daemon:
        code = _command(argv, daemon.environment(batch, os.environ))
        runs = _collected(daemon, options.quiet, options.patience, expected)
        record = _record(evaluators, _found(loaded, evaluators, runs, batch, daemon.otlp))
    failed = (f"The command ended with exit code {code}.",) if code else ()
    return _finish(options, loaded, record, runs, Check("command", failed, Exit.FAILED))


def _check(options: argparse.Namespace) -> int:
    loaded = load_policy(options.file)
    evaluators = _evaluators(loaded)
    batch = options.batch or f"gate-{secrets.token_hex(6)}"
    if options.otlp_url and not options.batch:
        raise ConfigError("--otlp-url stores what is found of the runs of a daemon, which --batch names.")
    if options.batch:
        runs = _runs_of(options.url, batch, options.since)
        found = _found(loaded, evaluators, runs, batch, options.otlp_url)
        if options.otlp_url:
            _store(options.otlp_url, found)
        return _finish(options, loaded, _record(evaluators, found), runs)
    if not options.otlp:
        runs = _last_runs(loaded)
        return _finish(options, loaded, _record(evaluators, _found(loaded, evaluators, runs, batch)), runs)
    with tempfile.TemporaryDirectory(prefix="spanmeter-gate-") as directory, gate_daemon(Path(directory)) as daemon:
        for path in options.otlp:
            _send_file(daemon.otlp, path)
        runs = _collected(daemon, 1.0, 60.0, 1)
        record = _record(evaluators, _found(loaded, evaluators, runs, batch, daemon.otlp))
    return _finish(options, loaded, record, runs)


def _approve(options: argparse.Namespace) -> int:
    loaded = load_policy(options.file)
    path = _state(loaded) / _RECORD
    record = read_baseline(path)
    if record is None:
        raise StartError(f"There is no {path}: run `spanmeter gate run` first.")
    before = read_baseline(loaded.baseline)
    approved = replace(
        record,
        approved_by=options.by or getpass.getuser(),
        flip_rates=record.flip_rates or (before.flip_rates if before else {}),
    )
    write_baseline(loaded.baseline, approved)
    print(f"{loaded.baseline} holds {len(record.cases)} cases, approved by {approved.approved_by}. Commit it.")
    return Exit.PASSED


def _noise(options: argparse.Namespace) -> int:
    loaded = load_policy(options.file)
    evaluators = [one for one in _evaluators(loaded) if one.config.check.kind == "judge"]
    if not evaluators:
        raise ConfigError(f"{options.file} has no judge: other evaluators do not contradict themselves.")
    runs = _last_runs(loaded)
    first, second = (_record(evaluators, _found(loaded, evaluators, runs, f"noise-{number}")) for number in (1, 2))
    rates = flips(first, second)
    for name, rate in rates.items():
        print(f"{name}: {rate:.1%} of its verdicts turned.")
    for path in (loaded.baseline, _state(loaded) / _RECORD):
        if known := read_baseline(path):
            write_baseline(path, replace(known, flip_rates=rates))
    print(f"Judging cost ${first.judge_usd + second.judge_usd:.6f}.")
    return Exit.PASSED


def _calibrate(options: argparse.Namespace) -> int:
    loaded = load_policy(options.file)
    if not loaded.judges:
        raise ConfigError(f"{options.file} has no judge: other evaluators need no people to agree with them.")
    measured = {name: found for name in loaded.judges if (found := _agreement(options.url, name))}
    write_calibration(loaded.calibration, measured)
    doubted = uncalibrated(loaded, Record({one.name: one.revision for one in _evaluators(loaded)}, {}), measured)
    for name in loaded.judges:
        print(f"{name}{doubt(name, doubted)}: {_measured(measured.get(name))}")
    print(f"{loaded.calibration} holds it. Commit it.")
    return Exit.PASSED


def _agreement(url: str, name: str) -> Measured | None:
    """What a daemon knows of a judge; None when it has no verdicts that people labelled."""
    try:
        return measured_of(ask(url, f"/api/v1/evaluators/{quote(name, safe='')}/agreement"))
    except Rejected as error:
        if error.reason is Reason.NOT_FOUND:
            return None
        raise


def _measured(one: Measured | None) -> str:
    if one is None or one.kappa is None:
        return "nothing that it judged has a label."
    interval = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    return f"kappa {one.kappa:.2f}{interval} of {one.labels} labels, revision {one.revision}."


def _evaluators(loaded: Loaded) -> list[Evaluator]:
    return [with_judge(Evaluator(config), loaded.policy.judges) for config in loaded.evaluators]


def _state(loaded: Loaded) -> Path:
    """Where the last gate is kept: beside the baseline."""
    return loaded.baseline.parent / _LAST


def _command(argv: Sequence[str], environment: dict[str, str]) -> int:
    """The exit code of the command; an interrupt is the command's to take. Raises StartError when it cannot start."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(argv, env=environment)  # noqa: S603 - what the user asks to run
    except OSError as error:
        raise StartError(f"The command {argv[0]!r} cannot be started: {error.strerror}.") from None
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


def _collected(daemon: GateDaemon, quiet: float, patience: float, expected: int) -> list[CaseRun]:
    return _read(daemon.settled(quiet, patience, expected), daemon.rows)


def _found(
    loaded: Loaded, evaluators: Sequence[Evaluator], runs: Sequence[CaseRun], batch: str, otlp_url: str = ""
) -> list[tuple[CaseRun, list[Evaluation]]]:
    """What evaluators find of each run. The spans of judges go to `otlp_url`, where there is one."""

    def publish(request: bytes) -> None:
        if otlp_url:
            _post(f"{otlp_url}/v1/traces", request, _PROTOBUF)

    with progress_bar("Judging", "verdicts") as progress:
        judged = judge_all(loaded, evaluators, runs, batch, SystemClock(), publish, progress)
    return [(run, [*evaluations_of(run, evaluators, _PROJECT, batch), *judged.get(run.trace_id, [])]) for run in runs]


def _record(evaluators: Sequence[Evaluator], found: Iterable[tuple[CaseRun, Sequence[Evaluation]]]) -> Record:
    cases: dict[str, list[Trial]] = {}
    cost = Decimal(0)
    for run, rows in found:
        cost += sum((row.receipt.cost for row in rows if row.vote == 0 and row.receipt.cost), Decimal(0))
        cases.setdefault(run.case, []).append(trial_of(run, rows))
    return Record(
        evaluators={one.name: one.revision for one in evaluators},
        cases={name: tuple(trials) for name, trials in cases.items()},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        judge_usd=cost,
    )


def _store(otlp_url: str, found: Iterable[tuple[CaseRun, Sequence[Evaluation]]]) -> None:
    """Have a daemon store the verdicts, each with its case and trial."""
    trials: Counter[str] = Counter()
    now = SystemClock().time_ns()
    rows: list[Evaluation] = []
    for run, of_run in found:
        trials[run.case] += 1
        rows += [replace(row, at=row.at or now, trial=trials[run.case]) for row in of_run]
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        request = evaluation_records(rows[at : at + _ROWS_AT_ONCE])
        _post(f"{otlp_url}/v1/logs", request.SerializeToString(), _PROTOBUF)


def _finish(options: argparse.Namespace, loaded: Loaded, record: Record, runs: Iterable[CaseRun], *more: Check) -> int:
    _keep(loaded, record, runs)
    decided = decide(loaded, read_baseline(loaded.baseline), record, read_calibration(loaded.calibration))
    decided = replace(decided, checks=(*more, *decided.checks))
    for path, text in (
        (options.json, result_json(decided)),
        (options.junit, junit_xml(decided, options.trace_link)),
        (options.markdown, comment(decided, options.trace_link)),
    ):
        if path:
            _write(path, text)
    _show(decided)
    return decided.exit


def _keep(loaded: Loaded, record: Record, runs: Iterable[CaseRun]) -> None:
    state = _state(loaded)
    write_baseline(state / _RECORD, record)
    (state / ".gitignore").write_text("*\n", encoding="utf-8")  # what it holds are prompts; only baselines are reviewed
    tables = [run.table for run in runs]
    if tables:
        beside = state / f"{_RUNS}.new"
        with pa.ipc.new_file(str(beside), tables[0].schema) as file:
            for table in tables:
                file.write_table(table)
        beside.replace(state / _RUNS)
    else:
        (state / _RUNS).unlink(missing_ok=True)


def _last_runs(loaded: Loaded) -> list[CaseRun]:
    path = _state(loaded) / _RUNS
    try:
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    except (OSError, pa.ArrowInvalid):
        raise StartError(f"There is no {path}: run `spanmeter gate run` first.") from None
    ids = table.column("TraceId")
    found = []
    for trace_id in dict.fromkeys(ids.to_pylist()):
        run = case_run(table.filter(pc.equal(ids, trace_id)))
        found += [run] if run else []
    return sorted(found, key=lambda run: (run.case, run.run.spans[0].start))


def _runs_of(url: str, batch: str, since: int | None) -> list[CaseRun]:
    """The runs of a batch that a daemon has. Raises Rejected, Unavailable."""
    began = SystemClock().time_ns() - _DAY if since is None else since
    asked = {"since": rfc3339(began), "attribute": f"{BATCH_ATTRIBUTE}={batch}", "folded": "true", "limit": "1000"}
    return _read(runs_at(url, urlencode(asked)), lambda trace_id: rows_at(url, trace_id))


def _read(trace_ids: Iterable[str], rows: Callable[[str], bytes]) -> list[CaseRun]:
    tables = [pa.ipc.open_stream(rows(trace_id)).read_all() for trace_id in trace_ids]
    found = [run for table in tables if table.num_rows and (run := case_run(table))]
    return sorted(found, key=lambda run: (run.case, run.run.spans[0].start))


def _send_file(otlp_url: str, path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    for request in _requests(data):
        _post(f"{otlp_url}/v1/traces", request, "application/json", str(path))


def _requests(data: bytes) -> list[bytes]:
    """The requests of a file: one in all of it, or one a line, as the Collector's file exporter writes them."""
    try:
        json.loads(data)
    except ValueError:
        return [line for line in data.splitlines() if line.strip()]
    return [data]


def _post(url: str, body: bytes, kind: str, source: str = "") -> None:
    request = urllib.request.Request(url, body, {"Content-Type": kind})  # noqa: S310 - the user's own address
    if token := os.environ.get(TOKEN_VARIABLE):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")[:300]
        raise ConfigError(f"{source or 'What was found'} cannot be taken: {text}") from None
    except OSError as error:
        raise StartError(f"{url} cannot be reached: {error}.") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _show(decided: Decided) -> None:
    for one in decided.metrics:
        numbers = f"{level(one, one.old)} -> {level(one, one.new)}, {change(one)} ({interval(one)})"
        counts = f"n={one.cases}, {one.improved} better, {one.worsened} worse"
        print(f"{decided.title(one.config)}: {numbers}: {one.conclusion}; {counts}; could have seen {detectable(one)}")
    for check in decided.checks:
        for problem in check.problems:
            print(f"{check.name}: {problem}")
    for warning in warnings(decided):
        print(f"note: {warning}")
    print(headline(decided), file=sys.stderr if decided.exit else sys.stdout)

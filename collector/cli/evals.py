"""`spanmeter eval`: judge stored runs, list what was found, show it with its evidence, say what a person found."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from collector.cli.jobs import (
    Interrupted,
    Remote,
    add_daemon_options,
    interrupts,
    progress_bar,
    result_of_job,
    until_interrupted,
    workplace,
)
from collector.cli.labels import add_label_commands
from collector.cli.options import config_of
from collector.cli.times import moment
from collector.config import Config, EvaluatorConfig, all_evaluators, load_evaluators
from collector.config.load import read_yaml
from collector.errors import ConfigError, Reason, Rejected
from collector.evals.backfill import backfill
from collector.evals.calibration import Calibration
from collector.evals.choosing import Window
from collector.evals.evaluator import evaluators_of
from collector.evals.questions import judge_check
from collector.evals.verdict_outbox import FILE, VerdictOutbox
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import SystemClock
from collector.model.evaluations import EvalStatus, Verdict
from collector.model.principal import Principal, Scope
from collector.model.progress import Progress
from collector.query.evaluations import EvaluationsWanted
from collector.query.service import Query
from collector.store import Store
from collector.web.evaluation_answers import evaluation_json, outcome_json
from collector.web.times import rfc3339

_CANCELLED: Final = "Cancelled; runs that were judged until then keep their verdicts."
_COLUMNS: Final = ("evaluator", "judged", "pass", "fail", "error", "skipped", "known", "not drawn", "not settled")
_DAY: Final = 86_400 * 10**9
_WEEK: Final = 7 * _DAY


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `eval` and what is below it."""
    below = commands.add_parser("eval", help="Judge stored runs, and see what was found.").add_subparsers(
        required=True, metavar="COMMAND"
    )

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = below.add_parser(name, parents=[common], help=text, description=text)
        add_daemon_options(command)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.add_argument("--project", default="default", help="whose runs, where no daemon is asked")
        return command

    run = add("run", "Judge stored runs. Exit code 1 when an evaluator failed; verdicts do not change it.")
    run.add_argument("-f", "--file", type=Path, action="append", default=[], help="evaluators (YAML); may be repeated")
    run.add_argument("--evaluator", action="append", default=[], help="only this one; may be repeated")
    run.add_argument("--since", type=moment, help="first start of a run, e.g. 2026-11-01 (UTC); default: a week ago")
    run.add_argument("--until", type=moment, help="runs before this; default: all later ones")
    run.add_argument("--again", action="store_true", help="also runs that were judged before and have not changed")
    run.add_argument("--dry-run", action="store_true", help="print how many runs it would judge, and the price")
    run.set_defaults(command=_run)

    found = add("list", "What evaluators found, the newest first.")
    found.add_argument("--trace", default="", help="of this run")
    found.add_argument("--evaluator", default="", help="of this evaluator")
    found.add_argument("--verdict", choices=["pass", "fail"], default="", help="with this verdict")
    found.add_argument("--status", choices=["ok", "error", "skipped"], default="", help="with this status")
    found.add_argument("--limit", type=int, default=50, help="how many at most, 1000 at most")
    found.set_defaults(command=_list)

    show = add("show", "Everything that was found of a run, with evidence and receipts.")
    show.add_argument("trace", metavar="TRACE", help="the run's trace id")
    show.set_defaults(command=_show)
    add_label_commands(add)


def _run(options: argparse.Namespace) -> int:
    config = config_of(options)
    now = SystemClock().time_ns()
    since = now - _WEEK if options.since is None else options.since
    window = Window(options.project, since, now if options.until is None else options.until, again=options.again)
    with workplace(config, options) as place:
        result = _judged(config, options, place, window)
    _print_result(result, options)
    return 1 if any(one["errors"] for one in result["evaluators"].values()) else 0


def _judged(config: Config, options: argparse.Namespace, place: Store | Remote, window: Window) -> Mapping[str, Any]:
    with progress_bar("Counting" if options.dry_run else "Judging", "run") as progress, interrupts() as interrupted:
        if isinstance(place, Remote):
            body = _body(options, window)
            return result_of_job(place, "/api/v1/evaluators/run", body, progress, interrupted, _CANCELLED)
        return _here(config, options, place, window, progress, interrupted)


def _here(
    config: Config,
    options: argparse.Namespace,
    store: Store,
    window: Window,
    progress: Progress,
    interrupted: Interrupted,
) -> Mapping[str, Any]:
    """Work in this process. Raises Cancelled between pages."""
    chosen = _from_files(options) if options.file else all_evaluators(config.evaluators, config.evals.files)
    evaluators = evaluators_of(_named(chosen, options.evaluator))
    if asking := [one.name for one in evaluators if judge_check(one)]:
        text = f"The evaluator {asking[0]} asks a model, for which a daemon has to run: start it, or name others with"
        raise ConfigError(f"{text} --evaluator.")
    step = until_interrupted(progress, interrupted, _CANCELLED)
    workshop, outgoing = Workshop(), _outgoing(config)
    writer = EvaluationWriter(outgoing)
    try:
        outcome = backfill(
            store,
            evaluators,
            window,
            SystemClock(),
            step,
            workshop,
            writer,
            dry_run=options.dry_run,
            commands=bool(options.file) or config.evals.commands,
        )
    finally:
        workshop.close()
        if outgoing:
            outgoing.close()
    return outcome_json(outcome)


def _outgoing(config: Config) -> VerdictOutbox | None:
    """What the next daemon sends; None when nothing goes out."""
    export = config.evals.export
    if not export.url:
        return None
    outbox = VerdictOutbox(config.directory / FILE, SystemClock())
    outbox.send_from(export.projects, on=True)
    return outbox


def _body(options: argparse.Namespace, window: Window) -> dict[str, Any]:
    definitions = _definitions(options) if options.file else []
    return {
        "evaluators": [] if definitions else options.evaluator,
        "definitions": definitions,
        "since": rfc3339(window.since),
        "until": rfc3339(window.until),
        "again": window.again,
        "dry_run": options.dry_run,
    }


def _from_files(options: argparse.Namespace) -> Sequence[EvaluatorConfig]:
    return [one for path in options.file for one in load_evaluators(path)]


def _definitions(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The files as they are written, once they are known to be sound."""
    wanted = {one.name for one in _named(_from_files(options), options.evaluator)}
    written: list[dict[str, Any]] = []
    for path in options.file:
        tree = read_yaml(path, "the evaluators in", of_list="evaluators")
        written += [one for one in tree["evaluators"] if one["name"] in wanted]
    return written


def _named(evaluators: Sequence[EvaluatorConfig], names: Sequence[str]) -> Sequence[EvaluatorConfig]:
    known = {one.name: one for one in evaluators}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"There is no evaluator {unknown[0]!r}; there are: {', '.join(known) or 'none'}.")
    if not known:
        raise ConfigError("There are no evaluators: name a file with -f, or have some in the configuration.")
    return [known[name] for name in names] if names else evaluators


def _print_result(result: Mapping[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(result, indent=2))
        return
    rows = [_COLUMNS]
    for name, one in result["evaluators"].items():
        keys = ("selected", "passed", "failed", "errors", "skipped", "known", "not_drawn", "not_settled")
        doubt = " (uncalibrated)" if one["calibrated"] is False else ""
        rows.append((name + doubt, *(str(one[key]) for key in keys)))
    print(_table(rows))
    if options.dry_run:
        print(f"{result['runs']} runs would be looked at. {_price(result)}")
    else:
        print(f"{result['runs']} runs were looked at; judging cost {result['cost']} USD. Batch {result['batch']}.")


def _price(result: Mapping[str, Any]) -> str:
    if unpriced := result["unpriced"]:
        return f"What judging costs is not known: the models of {', '.join(unpriced)} have no price."
    return f"Judging would cost about {result['price']} USD, {result['max_price']} USD at most."


def _list(options: argparse.Namespace) -> int:
    found = _found(options, trace_id=options.trace, limit=options.limit)
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    rows = [("at", "run", "span", "evaluator", "verdict", "score", "reason")]
    for one in found:
        score = "" if one["score"] is None else f"{one['score']:g}"
        verdict = one["verdict"] or one["error_type"] or one["status"]
        verdict += " (uncalibrated)" if one["verdict"] and one["calibrated"] is False else ""
        rows.append((one["at"][:19], one["trace_id"], one["span_id"], one["evaluator"], verdict, score, one["reason"]))
    print(_table(rows, numbers=False))
    return 0


def _show(options: argparse.Namespace) -> int:
    found = _found(options, trace_id=options.trace, limit=1000)
    if not found:
        raise Rejected(Reason.NOT_FOUND, f"Nothing was found of the run {options.trace} yet.")
    print(json.dumps(found, indent=2) if options.json else yaml.safe_dump(found, sort_keys=False, allow_unicode=True))
    return 0


def _found(options: argparse.Namespace, *, trace_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
    config = config_of(options)
    names = ("evaluator", "verdict", "status")
    asked = {name: value for name in names if (value := getattr(options, name, ""))}
    with workplace(config, options) as place:
        if isinstance(place, Remote):
            query = urlencode({**asked, "limit": limit, **({"trace_id": trace_id} if trace_id else {})})
            answer: Sequence[Mapping[str, Any]] = place.ask(f"/api/v1/evaluations?{query}")["evaluations"]
            return answer
        wanted = EvaluationsWanted(
            trace_ids=[trace_id] if trace_id else (),
            evaluator=asked.get("evaluator", ""),
            verdict=Verdict(asked["verdict"]) if "verdict" in asked else None,
            status=EvalStatus(asked["status"]) if "status" in asked else None,
            limit=limit,
        )
        stored, who = Query(lambda: place, config.reads), Principal("cli", options.project, frozenset(Scope))
        found = stored.evaluations(who, wanted)
        doubted = Calibration().uncalibrated(stored, who, found)
        return [evaluation_json(one, 0, doubted) for one in found]


def _table(rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{row[0]:<{widths[0]}}"]
        align = ">" if numbers else "<"
        cells += [f"{cell:{align}{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

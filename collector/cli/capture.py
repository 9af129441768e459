"""`spanmeter capture check`: what the capture settings of a file would do to spans that are stored."""

import argparse
import itertools

from collector.capture import CaptureRules
from collector.capture.dry_run import Findings
from collector.cli.daemon import TOKEN_VARIABLE, download, web_address
from collector.cli.export import runs_of
from collector.cli.options import config_of
from collector.cli.times import moment
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.model.clock import SystemClock
from collector.schema import schema_root

_DAY = 86_400_000_000_000


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `capture check` to the command's parser."""
    text = "Show what the capture policies and redaction rules of a configuration would do to stored spans."
    capture = commands.add_parser("capture", help=text, description=text)
    check = capture.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "check", parents=[common], help=text, description=text
    )
    check.set_defaults(command=_check)
    check.add_argument(
        "--since", type=moment, metavar="TIME", help="runs that began from then on, UTC; default: 24 h ago"
    )
    check.add_argument("--runs", type=int, default=200, metavar="N", help="look at the newest N runs; default: 200")
    check.add_argument("--project", default="default", help="the project the token reads; default: default")
    check.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    check.add_argument("--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token")


def _check(options: argparse.Namespace) -> int:
    config = config_of(options)
    families = load(schema_root()).families
    keeper = KeptFacts(families, schema_root(), config.captured.keep)
    rules = CaptureRules(config.captured, keeper, agent_keys(families))
    url, now = options.url or web_address(config), SystemClock().time_ns()
    since = now - _DAY if options.since is None else options.since
    findings = Findings()
    for trace_id in itertools.islice(runs_of(url, since, now, options.token_env), options.runs):
        path = f"/api/v1/runs/{trace_id}/export?format=otlp&encoding=proto"
        findings.look(rules, options.project, download(url, path, options.token_env))
    _print(findings)
    return 0


def _print(findings: Findings) -> None:
    if not findings.spans:
        print("No span was looked at: there are no runs of the last day, or since --since, that the token may read.")
        return
    withheld = ", ".join(f"{policy.word} for {spans}" for policy, spans in sorted(findings.policies.items()))
    print(f"{findings.spans} spans looked at; nothing was changed. Policies: {withheld or 'full for all'}.")
    for rule, texts in findings.rules.most_common():
        print(f"  rule {rule}: {texts} texts")
    for word, counts in (("dropped", findings.dropped), ("shortened", findings.changed)):
        for place, spans in counts.most_common():
            examples = "; ".join(findings.examples[place])
            print(f"  {word} in {spans} spans: {place}   {examples}")
    for sentence in findings.refused:
        print(f"  a run would be refused: {sentence}")

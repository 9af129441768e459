"""`spanmeter eval label` and `eval agreement`, asked of the running daemon."""

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from collector.cli.daemon import ask, web_address
from collector.cli.options import config_of

Add = Callable[[str, str], argparse.ArgumentParser]


def add_label_commands(add: Add) -> None:
    """Add both below `eval`; `add` makes a command of a name and a text."""
    label = add("label", "Say what a person finds of a run or span: judges are measured by it.")
    label.add_argument("trace", metavar="TRACE", help="the run's trace id")
    label.add_argument("--span", default="", help="one of its spans, by its id")
    label.add_argument("--evaluator", required=True, help="whose question it answers")
    label.add_argument("--verdict", choices=["pass", "fail"], required=True, help="the verdict")
    label.add_argument("--reason", default="", help="why, in a sentence")
    label.add_argument("--labeler", default="", help="who found it; default: the name of the token")
    label.set_defaults(command=_label)
    agreement = add("agreement", "How far an evaluator agrees with labels, and what people would have found.")
    agreement.add_argument("evaluator", metavar="EVALUATOR", help="its name")
    agreement.set_defaults(command=_agreement)


def _label(options: argparse.Namespace) -> int:
    body = {
        "trace_id": options.trace,
        "span_id": options.span,
        "evaluator": options.evaluator,
        "verdict": options.verdict,
        "reason": options.reason,
        "labeler": options.labeler,
    }
    label = _asked(options, "/api/v1/evaluations/labels", body)["label"]
    print(json.dumps(label, indent=2) if options.json else f"{label['verdict']}, by {label['labeler']}: {label['id']}")
    return 0


def _agreement(options: argparse.Namespace) -> int:
    found = _asked(options, f"/api/v1/evaluators/{quote(options.evaluator, safe='')}/agreement")
    print(json.dumps(found, indent=2) if options.json else "\n".join(_lines(found)))
    return 0


def _asked(options: argparse.Namespace, path: str, body: dict[str, Any] | None = None) -> Any:
    url = options.url or web_address(config_of(options))
    return ask(url, path, body, token_variable=options.token_env)


def _lines(found: Mapping[str, Any]) -> list[str]:
    trusted = "calibrated" if found["calibrated"] else "uncalibrated: it needs 20 labels, and a kappa surely above 0.4"
    lines = [
        f"{found['evaluator']} (revision {found['revision']}) is {trusted}.",
        f"labels {found['labels']}, by {found['labelers']}; people alone: alpha {_number(found['alpha'])}",
        "                 people pass  people fail",
        f"it passes        {found['judged_pass'][0]:11}  {found['judged_pass'][1]:11}",
        f"it fails         {found['judged_fail'][0]:11}  {found['judged_fail'][1]:11}",
        f"kappa            {_number(found['kappa'])} {_between(found['kappa_interval'])}, weighted back",
        f"kappa of labels  {_number(found['kappa_of_labels'])} {_between(found['kappa_of_labels_interval'])}",
        f"raw agreement    {_number(found['raw_agreement'])}",
        f"sensitivity      {_number(found['sensitivity'])}",
        f"specificity      {_number(found['specificity'])}",
        f"pass rate        {_number(found['pass_rate'])}",
        f"people would say {_number(found['corrected_pass_rate'])} {_between(found['corrected_pass_rate_interval'])}",
    ]
    for one in found["disagreements"]:
        place = f"{one['trace_id']}{' ' + one['span_id'] if one['span_id'] else ''}"
        lines.append(f"{place}: it says {one['judged']}: {one['judge_reason']}")
        lines.append(f"    a person says {one['labelled']}: {one['label_reason']}")
    return lines


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _between(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:.2f}, {ends[1]:.2f}]"

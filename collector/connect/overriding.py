"""Settings that stand elsewhere and win over those that are put in place: why nothing may arrive. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from collector.connect.programs import Program
from collector.connect.trees import Tree, leaves

_WINS: Final = re.compile(r"OTEL_SDK_DISABLED|OTEL_EXPORTER_OTLP_(?:TRACES|LOGS|METRICS)_(?:ENDPOINT|PROTOCOL|HEADERS)")
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


def overriding(program: Program, settings: Tree, environment: Mapping[str, str], http: str) -> Iterator[str]:
    """A sentence for each: in the program's own file, and in the environment it would be started in from here."""
    for path, _ in leaves(settings):
        if _WINS.fullmatch(path[-1]):
            yield f"{path[-1]} in the file wins over what {program.title} is given here; take it out."
    for name, value in environment.items():
        elsewhere = name == _ENDPOINT and value.rstrip("/") != http
        if value and (elsewhere or _WINS.fullmatch(name)):
            yield f"{name} in the environment wins over what {program.title} is given here: unset {name}."

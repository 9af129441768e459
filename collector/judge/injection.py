"""Whether judged text speaks to its judge. A sign to look, not a proof: it never changes a verdict by itself."""

import re
from collections.abc import Iterable
from typing import Final

FLAG: Final = "suspect_injection"
_SPEAKS_OF_JUDGING = re.compile(
    r"\b(?:(?:dear|hey|hello|to the|note to(?: the)?|attention)[ ,:]+(?:judge|grader|evaluator)"
    r"|OVERRIDE[-_ ]?JUDGE"
    r"|(?:you are|as) (?:the|a|an) (?:judge|grader|evaluator)"
    r"|(?:the|this|your) (?:judge|grader|grading|rubric|evaluation criteria)\b"
    r"|ignore (?:the |all |any |your )?(?:rubric|grading|criteria|previous instructions|instructions above))",
    re.IGNORECASE,
)
_VERDICT_SHAPED = re.compile(
    r"[\"'](?:verdict|label|score|passed|pass|grade|choice)[\"']\s*:\s*(?:[\"']?(?:pass|fail|correct|true|false|1(?:\.0)?)\b)",
    re.IGNORECASE,
)


def suspicious(texts: Iterable[str], labels: Iterable[str]) -> bool:
    """Whether one of `texts` holds verdict-shaped JSON, a label as a command, or speaks of the judge or its rubric."""
    words = "|".join(re.escape(label) for label in labels)
    ordered = re.compile(
        rf"\b(?:answer|output|return|reply|respond|say|grade|mark|rate|score|label|choose|give|must|please)\b"
        rf"[^.\n]{{0,40}}[\"'`:\s](?:{words})[\"'`.!\s]",
        re.IGNORECASE,
    )
    patterns = (_SPEAKS_OF_JUDGING, _VERDICT_SHAPED, *([ordered] if words else []))
    return any(pattern.search(text + "\n") for text in texts for pattern in patterns)

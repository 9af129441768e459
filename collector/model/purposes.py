"""What spans were made for: the product, or something about it that is counted apart."""

from typing import Final

PRODUCT: Final = ""
JUDGE: Final = "judge"
ATTRIBUTE: Final = "spanmeter.purpose"
EVALUATOR_ATTRIBUTE: Final = "spanmeter.evaluator"  # of judges' spans: whose question they answer
JUDGE_SCOPE: Final = "spanmeter.judge"  # of the spans that our own judges make
ALL: Final = "*"  # of a filter: whatever the purpose

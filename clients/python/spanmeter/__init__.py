"""The client of a spanmeter daemon, for agents and gateways: ask before a run, and set aside what it may cost.

    budget = Budget("http://localhost:8080", token="spm_...")
    with budget.run(service="support-agent", feature="checkout", estimate_usd="0.25") as lease:
        ...  # spans with the attributes of `lease.attributes` settle the lease

Only the standard library is needed. Where `opentelemetry` is importable, the lease is also put into baggage, from which
a span processor (`LeaseSpanProcessor`, or any that copies baggage) puts it on every span of the run.

When the block ends, in whatever way, the run is reported as ended: what spans have not settled within a minute is given
back by the daemon. So nothing needs releasing, and calls made before an exception still count.
"""

from spanmeter.budgets import Amount, Budget, Lease
from spanmeter.errors import BudgetError, BudgetExceeded
from spanmeter.tracing import LEASE_ATTRIBUTE, LeaseSpanProcessor

__version__ = "0.1.0"

__all__ = ["LEASE_ATTRIBUTE", "Amount", "Budget", "BudgetError", "BudgetExceeded", "Lease", "LeaseSpanProcessor"]

"""What only the store knows of budgets: which features and models spent, and how the periods before went."""

from collections.abc import Callable, Collection, Mapping, Sequence

from collector.budgets.periods import Period
from collector.budgets.rules import DIVIDED_BY, Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.budgets.views import Share, shares_of, top_shares
from collector.model.budgets import Scope
from collector.query.spend_queries import exact_spend, spend_by
from collector.store.client import Store


class BudgetQueries:
    """Exact answers of the store. Blocking; raises Unavailable when it does not answer."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def scopes(self, rule: Rule, project: str, period: Period) -> Collection[Scope]:
        """The scopes of a rule in which calls of one project count."""
        return spend_by(self._store(), rule, {"project": project}, rule.per, period).keys()

    def breakdown(
        self, rule: Rule, project: str, where: Mapping[str, str], period: Period, limit: int
    ) -> Sequence[Share]:
        """The feature and model pairs that spent most, in the rule's unit; most first.

        `where` fixes values of dimensions. Of one project's calls, or of all with "".
        """
        fixed = {**where, "project": project} if project else where
        spent = spend_by(self._store(), rule, fixed, DIVIDED_BY, period)
        return top_shares(rule, [Share(feature, model, amount) for (feature, model), amount in spent.items()], limit)

    def top(self, rule: Rule, scopes: Collection[Scope], period: Period, limit: int) -> Mapping[Scope, Sequence[Share]]:
        """The breakdown of each of these scopes, of all projects: one question, however many they are."""
        if len(scopes) == 1:
            (only,) = scopes
            return {only: self.breakdown(rule, "", dict(zip(rule.per, only, strict=True)), period, limit)}
        shares = shares_of(scopes, spend_by(self._store(), rule, {}, (*rule.per, *DIVIDED_BY), period))
        return {scope: top_shares(rule, several, limit) for scope, several in shares.items()}

    def steps(self, rule: Rule, scope: Scope, starts: Sequence[int]) -> Mapping[int, Mapping[Scope, Amount]]:
        """What a scope has spent in steps of a rolling window's rule, by their ascending starts."""
        return exact_spend(self._store(), rule, starts, dict(zip(rule.per, scope, strict=True)))

    def history(self, rule: Rule, where: Mapping[str, str], periods: Sequence[Period]) -> Sequence[Amount]:
        """What was spent in each of `periods`, which follow each other, oldest first."""
        if not periods:
            return []
        if rule.schedule.step_ns:  # a window is made of many steps
            store = self._store()
            return [spend_by(store, rule, where, (), period).get((), NOTHING) for period in periods]
        spent = exact_spend(self._store(), rule, [period.start for period in periods], where, ())
        return [spent.get(period.start, {}).get((), NOTHING) for period in periods]

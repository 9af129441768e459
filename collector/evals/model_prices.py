"""What calls of judges cost, by the prices that their spans are priced with."""

from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.pricing import price
from collector.judge.judge import Pricer
from collector.model.usage import Usage


def pricer_of(catalogue: Catalogue) -> Pricer:
    """Prices as the daemon's."""

    def priced(provider: str, requested: str, answered: str, usage: Usage, at: int) -> int | None:
        found = price(
            catalogue, provider=provider, request_model=requested, response_model=answered, usage=usage, at=at
        )
        return found.cost

    return priced

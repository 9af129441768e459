"""What was acknowledged against what is stored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    acknowledged: int
    stored: int
    lost: int
    duplicate_rows: int
    duplicates_under_final: int

    def __str__(self) -> str:
        return (
            f"acknowledged {self.acknowledged} / stored {self.stored} / lost {self.lost} / "
            f"duplicated {self.duplicate_rows} raw rows, {self.duplicates_under_final} under FINAL"
        )

    def assert_exact(self, more_than: int = 500, *, raw: bool = True) -> None:
        """Nothing lost and nothing counted twice; with `raw`, no row inserted twice either.

        More than so many spans were acknowledged: without load nothing is shown.
        """
        assert self.acknowledged > more_than
        assert self.lost == 0
        assert self.stored == self.acknowledged
        assert self.duplicates_under_final == 0
        assert not raw or self.duplicate_rows == 0


def tally(acknowledged: dict[str, int], rows: dict[str, int], final: dict[str, int], distinct: dict[str, int]) -> Tally:
    """Spans by trace id: acknowledged; and in the store: rows, rows under FINAL, distinct spans."""
    return Tally(
        acknowledged=sum(acknowledged.values()),
        stored=sum(distinct.values()),
        lost=sum(spans - min(spans, distinct.get(trace, 0)) for trace, spans in acknowledged.items()),
        duplicate_rows=sum(rows.values()) - sum(distinct.values()),
        duplicates_under_final=sum(final.values()) - sum(distinct.values()),
    )

"""A new environment out of packages that the store has; beside uv with everything in its cache."""

import itertools

from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, Workplace


def measure(place: Workplace) -> list[Row]:
    """Each round asks for the same packages under another composition, so that it really is new."""
    first = place.notebook("warm.ipynb", *HUNDRED)
    pins = place.pins(first)
    place.nixenv("build", str(first))
    place.venv("venv", pins)
    rounds = itertools.count()
    fresh: list[str] = []

    def another_notebook() -> None:
        left_out = HUNDRED[next(rounds) % len(HUNDRED)]
        place.empty("state/nixenv/environments")
        notebook = place.notebook(
            f"warm{next(rounds)}.ipynb", *(r for r in HUNDRED if r != left_out), "six"
        )
        fresh[:] = [str(notebook)]

    return [
        compare(
            "a new environment out of packages that the store has",
            Side("nixenv build", lambda: place.nixenv("build", *fresh), another_notebook),
            Side(
                "`uv venv` + `uv pip sync`, warm cache",
                lambda: place.venv("venv", pins),
                lambda: place.empty("venv"),
            ),
            target=0.1,
            rounds=5,
        )
    ]

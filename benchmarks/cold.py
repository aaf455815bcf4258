"""A 100-package lock, an empty store, wheels from the registry; beside uv with an empty cache."""

from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, Workplace


def measure(place: Workplace) -> list[Row]:
    """The interpreter is at hand on both sides: uv does not copy it, and our store keeps it."""
    notebook = place.notebook("cold.ipynb", *HUNDRED)
    pins = place.pins(notebook)
    only_python = place.notebook("python.ipynb")

    def empty_store() -> None:
        place.empty("store", "state")
        place.nixenv("build", str(only_python))

    return [
        compare(
            "cold: 100-package lock, empty store",
            Side("nixenv build", lambda: place.nixenv("build", str(notebook)), empty_store),
            Side(
                "`uv venv` + `uv pip sync`, empty cache",
                lambda: place.venv("venv", pins),
                lambda: place.empty("venv", "uv-cache"),
            ),
            target=1.0,
            rounds=5,
        )
    ]

"""A hundred conda packages: cold, warm, and one added; beside `rattler.install` of the same archives."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.bulk_channel import (
    bulk_channel,
    requirements,
    write_rattler_lock,
    write_rattler_script,
)
from benchmarks.measure import Row, Side, compare
from benchmarks.workplace import HUNDRED, PYTHON, Workplace
from nixlib.testing.fileserver import FileServer

ADDED = 5
"""Packages that are added one after the other, small ones that nothing else needs."""

SMALL = ("babel", "json5", "webcolors", "fqdn", "isoduration", "uri-template", "rfc3986-validator")


def measure(place: Workplace) -> list[Row]:
    """Both sides have the lock already, and fetch from one server on this machine."""
    venv = place.venv("venv", place.pins(place.notebook("wheels.ipynb", *HUNDRED)))
    names = bulk_channel(place.root / "channel", venv)
    files = {
        str(path.relative_to(place.root / "channel")): path.read_bytes()
        for path in sorted((place.root / "channel").rglob("*"))
        if path.is_file()
    }
    with FileServer(files) as server:
        bench = _Bench(place, server.url("").rstrip("/"), names)
        return [bench.cold(), bench.warm(), bench.added()]


class _Bench:
    """The two sides over one channel."""

    def __init__(self, place: Workplace, channel: str, names: list[str]) -> None:
        self._place = place
        self._channel = channel
        self._names = names
        self._script = write_rattler_script(place.root / "install.py")
        self._notebook = self._import("all", names)
        self._lock = write_rattler_lock(place.root / "all.lock", self._notebook, channel)
        self._round = 0
        self._fresh = self._notebook

    def _import(
        self, stem: str, names: list[str], *, python: str = f"  - python={PYTHON}\n"
    ) -> Path:
        lines = "".join(f"  - {line}\n" for line in requirements(names))
        file = self._place.root / f"{stem}.yml"
        file.write_text(f"channels: [{self._channel}]\ndependencies:\n{python}{lines}")
        notebook = self._place.root / f"{stem}.ipynb"
        self._place.nixenv("import", str(file), str(notebook), "--force")
        return notebook

    def _build(self) -> None:
        self._place.nixenv("build", str(self._fresh))

    def _install(self, lock: Path) -> None:
        root = self._place.root
        arguments = (str(lock), str(root / "prefix"), str(root / "rattler-cache"))
        self._place.run(sys.executable, str(self._script), *arguments)

    def cold(self) -> Row:
        """No package is there on either side; the Python that our builders run with is, as theirs is."""
        first = self._import("first", ["python_abi"], python="")

        def empty_store() -> None:
            self._place.empty("store", "state")
            self._fresh = first
            self._build()
            self._fresh = self._notebook

        return compare(
            f"cold: {len(self._names)} conda packages, empty store",
            Side("nixenv build", self._build, empty_store),
            Side(
                "`rattler.install`, empty cache",
                lambda: self._install(self._lock),
                lambda: self._place.empty("prefix", "rattler-cache"),
            ),
            target=1.2,
            rounds=5,
        )

    def warm(self) -> Row:
        """Another environment out of what is there."""
        place = self._place
        left_out = [name for name in SMALL if name in self._names]

        def another() -> None:
            name = left_out[self._round % len(left_out)]
            self._round += 1
            kept = [one for one in self._names if one != name]
            self._fresh = self._import(f"warm{self._round}", kept)
            place.empty("state/nixenv/environments")

        return compare(
            "a new environment out of conda packages that the store has",
            Side("nixenv build", self._build, another),
            Side(
                "`rattler.install`, warm cache",
                lambda: self._install(self._lock),
                lambda: place.empty("prefix"),
            ),
            target=0.3,
            rounds=5,
        )

    def added(self) -> Row:
        """One package more than before, which neither side has seen."""
        place, root = self._place, self._place.root
        late = [name for name in SMALL if name in self._names][:ADDED]
        base = [name for name in self._names if name not in late]
        steps = []
        for count in range(len(late) + 1):
            notebook = self._import(f"added{count}", base + late[:count])
            lock = write_rattler_lock(root / f"added{count}.lock", notebook, self._channel)
            steps.append((notebook, lock))
        place.empty("store", "state", "prefix", "rattler-cache")
        self._fresh = steps[0][0]
        self._build()
        self._install(steps[0][1])
        ours, theirs = iter(steps[1:]), iter(steps[1:])

        def next_notebook() -> None:
            self._fresh = next(ours)[0]

        return compare(
            "one conda package added",
            Side("nixenv build", self._build, next_notebook),
            Side("`rattler.install` into the same prefix", lambda: self._install(next(theirs)[1])),
            target=1.0,
            rounds=len(late),
        )

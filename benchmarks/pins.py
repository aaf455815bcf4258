"""Old pins of popular packages: what works, resolved in its own time and by plain uv.

Each entry of `pins.json` is a line somebody has in an old notebook, a Python, and a few lines that *use*
the package. Ours: resolve with nixlib, install exactly the locked wheels (no dependencies, hashes required)
into a throwaway venv. Plain: `uv pip install LINE` into another. Then both run the same lines.

    python benchmarks/pins.py run --grace 180        # resumes; results go to a JSON-lines file
    python benchmarks/pins.py write docs/in-its-own-time.md
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import uv

from nixlib.errors import NixError
from nixlib.interpreters.host_python import find_hosts
from nixlib.lock import LockedPackage
from nixlib.platforms import current_system
from nixlib.resolvers.base import Request
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.settings import Settings

HERE = Path(__file__).parent
KERNEL = ("ipykernel",)
BEGIN, END = "<!-- pins.py writes from here -->", "<!-- to here -->"
INSTALL_SECONDS = 300.0
USE_SECONDS = 180.0


@dataclass(frozen=True)
class Pin:
    """One line of an old notebook; `use` is Python source."""

    python: str
    field: str
    requirements: tuple[str, ...]
    use: str

    @property
    def title(self) -> str:
        """How results name it."""
        return f"{' '.join(self.requirements)} on {self.python}"


@dataclass(frozen=True)
class Result:
    """How one side fared: `rule` is `plain` or `ours-DAYS`, `why` the last line of what went wrong."""

    pin: str
    rule: str
    works: bool
    why: str = ""
    held: tuple[str, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    use: str = ""
    resolve_seconds: float = 0.0


def read_pins(path: Path) -> list[Pin]:
    return [
        Pin(item["python"], item["field"], tuple(item["requirements"]), "\n".join(item["use"]))
        for item in json.loads(path.read_text())
    ]


def call(*command: str, seconds: float, cwd: Path) -> tuple[bool, str]:
    """Run to the end; whether it went well, and the last line that says why not."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, cwd=cwd, check=False
        )
    except subprocess.TimeoutExpired:
        return False, f"not done after {seconds:.0f} s"
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception)\b", line)]
    last = (errors or lines or [f"exit status {done.returncode}"])[-1]
    return done.returncode == 0, without_paths(last)


def without_paths(text: str) -> str:
    """A message without where the throwaway venv was, which says nothing to a reader."""
    return re.sub(r"\(?'?/(?:[^\s/']+/)+[^\s']*'?,?\s?", "", text).strip()


@cache
def installed() -> dict[str, tuple[str, str]]:
    """Full version and executable of the newest host Python of each minor version."""
    hosts = reversed(find_hosts())
    return {host.version.rpartition(".")[0]: (host.version, str(host.executable)) for host in hosts}


def use(pin: Pin, install: Iterable[str], executable: str, folder: Path) -> tuple[bool, str]:
    """Install into a fresh venv with these arguments, then run the pin's own lines there."""
    binary, python = uv.find_uv_bin(), str(folder / "venv/bin/python")
    steps = (
        (
            (
                binary,
                "venv",
                "--quiet",
                "--no-project",
                "--python",
                executable,
                str(folder / "venv"),
            ),
            60.0,
        ),
        ((binary, "pip", "install", "--quiet", "--python", python, *install), INSTALL_SECONDS),
        ((python, "-I", "-W", "ignore", "-c", pin.use), USE_SECONDS),
    )
    for command, seconds in steps:
        fine, why = call(*command, seconds=seconds, cwd=folder)
        if not fine:
            return False, why
    return True, ""


def plain(pin: Pin) -> Result:
    """What uv gives for the line today."""
    _, executable = installed()[pin.python]
    with tempfile.TemporaryDirectory(prefix="pins-") as name:
        works, why = use(pin, pin.requirements, executable, Path(name))
    return Result(pin.title, "plain", works, why)


def locked_lines(packages: Iterable[LockedPackage]) -> Iterator[str]:
    for package in packages:
        wheel = package.wheels[0]
        yield f"{package.name} @ {wheel.url} --hash=sha256:{wheel.sha256}"


def ours(pin: Pin, days: int, settings: Settings, done: dict[str, Result]) -> Result:
    """What nixlib locks for the line; an environment that was tried before is not tried again."""
    version, executable = installed()[pin.python]
    rule, begun = f"ours-{days}", time.monotonic()
    request = Request(
        pin.requirements, version, (current_system(),), kernel=KERNEL, notebook="pins.ipynb"
    )
    try:
        found = resolve_pypi(request, settings=settings)
    except NixError as error:
        return Result(pin.title, rule, works=False, why=error.render().replace("\n", " "))
    seconds = round(time.monotonic() - begun, 2)
    versions = {package.name: package.version for package in found.packages}
    held = tuple(package.held for package in found.packages if package.held)
    digest = hashlib.sha256(
        json.dumps([pin.python, pin.use, versions], sort_keys=True).encode()
    ).hexdigest()
    if digest in done:
        works, why = done[digest].works, done[digest].why
    else:
        with tempfile.TemporaryDirectory(prefix="pins-") as name:
            lines = Path(name, "locked.txt")
            lines.write_text("\n".join(locked_lines(found.packages)))
            arguments = ("--no-deps", "--require-hashes", "-r", str(lines))
            works, why = use(pin, arguments, executable, Path(name))
    return Result(pin.title, rule, works, why, held, versions, digest, seconds)


def run(arguments: argparse.Namespace) -> None:
    pins = [pin for pin in read_pins(arguments.pins) if arguments.only in pin.title]
    results = read_results(arguments.results)
    known = {(result.pin, result.rule) for result in results}
    done = {result.use: result for result in results if result.use}
    installed()
    work = [("plain", pin) for pin in pins if arguments.plain and (pin.title, "plain") not in known]
    work += [
        (str(days), pin)
        for days in arguments.grace
        for pin in pins
        if (pin.title, f"ours-{days}") not in known
    ]

    def one(item: tuple[str, Pin]) -> Result:
        rule, pin = item
        if rule == "plain":
            return plain(pin)
        settings = Settings(
            arguments.cache / "cache", arguments.cache / "state", grace_days=int(rule)
        )
        return ours(pin, int(rule), settings, done)

    with ThreadPoolExecutor(arguments.jobs) as threads, arguments.results.open("a") as file:
        for result in threads.map(one, work):
            done.setdefault(result.use, result)
            print(
                f"{'ok  ' if result.works else 'FAIL'} {result.rule:9} {result.pin}  {result.why[:150]}",
                flush=True,
            )
            file.write(json.dumps(asdict(result), sort_keys=True) + "\n")
            file.flush()


def read_results(path: Path) -> list[Result]:
    """The last result of each pin and rule."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [
        Result(**{**json.loads(line), "held": tuple(json.loads(line)["held"])}) for line in lines
    ]
    return list({(result.pin, result.rule): result for result in found}.values())


def write(arguments: argparse.Namespace) -> None:
    """Put the figures between the marks of a page that people have written."""
    pins, results = read_pins(arguments.pins), read_results(arguments.results)
    page = arguments.page.read_text()
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    arguments.page.write_text(
        f"{head}{BEGIN}\n\n{tables(pins, results, arguments.rule)}\n{END}{tail}"
    )


def tables(pins: list[Pin], results: list[Result], rule: str) -> str:
    """The summary, the comparison of graces, and one line for each pin."""
    found = {(result.pin, result.rule): result for result in results}
    rules = sorted(
        {result.rule for result in results if result.rule.startswith("ours-")},
        key=lambda rule: int(rule[5:]),
    )
    summary = [
        f"| {name} | {count(pins, found, name)} of {len(pins)} |" for name in ("plain", *rules)
    ]
    lines = ["| resolved by | pins that work |", "|---|---|", *summary, ""]
    lines += ["| field | Python | line | nixenv | plain uv |", "|---|---|---|---|---|"]
    for pin in sorted(pins, key=lambda pin: (pin.field, pin.requirements, pin.python)):
        ours, plain = found.get((pin.title, rule)), found.get((pin.title, "plain"))
        line = f"`{' '.join(pin.requirements)}`"
        lines.append(
            f"| {pin.field} | {pin.python} | {line} | {verdict(ours)} | {verdict(plain)} |"
        )
    return "\n".join(lines) + "\n"


def count(pins: list[Pin], found: dict[tuple[str, str], Result], rule: str) -> int:
    return sum(
        (result := found.get((pin.title, rule))) is not None and result.works for pin in pins
    )


def verdict(result: Result | None) -> str:
    """Works, or the reason why not, in a cell of a table."""
    if result is None:
        return "not run"
    why = without_paths(result.why).replace("|", "\\|").replace("`", "'")
    return "works" if result.works else f"`{why[:100]}{'…' if len(why) > 100 else ''}`"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pins", type=Path, default=HERE / "pins.json")
    parser.add_argument("--results", type=Path, default=Path("pins-results.jsonl"))
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run")
    verb.add_argument(
        "--grace", type=int, nargs="*", default=[180], help="days; several are compared"
    )
    verb.add_argument("--plain", action="store_true", help="plain uv, too")
    verb.add_argument("--only", default="", help="pins with this text in their title")
    verb.add_argument("--jobs", type=int, default=1)
    verb.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "nixenv-pins")
    verb.set_defaults(verb=run)
    verb = verbs.add_parser("write")
    verb.add_argument("page", type=Path)
    verb.add_argument("--rule", default="ours-180", help="the rule that the long table is about")
    verb.set_defaults(verb=write)
    arguments: Any = parser.parse_args()
    arguments.verb(arguments)


if __name__ == "__main__":
    sys.exit(main())

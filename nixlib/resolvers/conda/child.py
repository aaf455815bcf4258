"""What runs in a process of its own to solve for conda: one job in, one line of JSON for each answer out.

The only caller of rattler's gateway and solver. A process of its own, because neither can be stopped: a cancelled
`solve` goes on in a thread of rattler's, and one of those that is still at work when Python ends takes the
process down ("PyGILState_Release", seen with 0.28). This one can be killed, and leaves without ending Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import rattler
import rattler.package
from rattler.exceptions import GatewayError, SolverError

from nixlib.variants import build_choice

__all__ = ["main"]

_PRIORITIES = {
    "strict": rattler.ChannelPriority.Strict,
    "flexible": rattler.ChannelPriority.Flexible,
}
_SHOWN = 8
_LARGEST_FILE = 2 << 30
_LARGEST_MEMORY = 6 << 30
"""Conda-forge's largest index is 0.4 GB of JSON, and solving takes 0.3 GB; 300 kB of Zstandard may be 8 GB of zeros."""


@dataclass
class _Solver:
    """A gateway, and what all systems of one job share."""

    job: Mapping[str, Any]
    gateway: Any

    async def solve(self, asked: Mapping[str, Any]) -> list[Any]:
        """The records for one system.

        Raises:
            SolverError: Nothing fits.
            GatewayError: A channel did not answer as it should.
        """
        chosen = await self._build_choices(asked)
        rules = [f"{name}[build='{pattern}']" for name, pattern in chosen.items()]
        try:
            return await self._solve(asked, rules)
        except SolverError:
            if not rules:
                raise
            # The newest version of a package may have builds of a choice that an older one, which is what
            # the rest needs, has not. Then that one is as good as any, and only then.
            with_rules = sys.exc_info()[1]
            try:
                found = await self._solve(asked, [])
            except SolverError:
                raise with_rules from None  # type: ignore[misc]
            if await self._is_against(asked, found, chosen):
                raise with_rules from None  # type: ignore[misc]
            return found

    async def _solve(self, asked: Mapping[str, Any], rules: Sequence[str]) -> list[Any]:
        cutoff = self.job["cutoff"]
        return await rattler.solve(
            self.job["channels"],
            [rattler.MatchSpec(spec) for spec in asked["specs"]],
            gateway=self.gateway,
            platforms=_platforms(asked),
            locked_packages=await self._locked(asked),
            virtual_packages=[_virtual(text) for text in asked["virtual"]],
            channel_priority=_PRIORITIES[self.job["priority"]],
            exclude_newer=datetime.fromisoformat(cutoff) if cutoff else None,
            # Channels without times are not empty before any date; who has none is said in the lock.
            timestamp_policy="allow-missing",
            constraints=[rattler.MatchSpec(spec) for spec in (*asked["constraints"], *rules)],
            # A notebook's channels are those that it names.
            channel_relations="disabled",
        )

    async def _locked(self, asked: Mapping[str, Any]) -> list[Any]:
        """The records of the previous lock, as far as the channels still have them."""
        locked: Mapping[str, str] = asked["locked"]  # name → sha256
        if not locked:
            return []
        found = await self._query(asked, [f"{name}" for name in sorted(locked)], recursive=False)
        return [record for record in found if _sha256(record) == locked[record.name.normalized]]

    async def _query(
        self, asked: Mapping[str, Any], specs: Sequence[str], *, recursive: bool
    ) -> list[Any]:
        answers = await self.gateway.query(
            self.job["channels"],
            _platforms(asked),
            [rattler.MatchSpec(spec) for spec in specs],
            recursive=recursive,
            channel_relations="disabled",
        )
        return [record for records in answers for record in records]

    async def _build_choices(self, asked: Mapping[str, Any]) -> dict[str, str]:
        """For each package that has builds of the variants' choices and others: the pattern of the first."""
        if not asked["choices"]:
            return {}
        specs = {spec.name.normalized: spec for spec in map(rattler.MatchSpec, asked["specs"])}
        newest: dict[str, Any] = {}
        builds: dict[str, set[str]] = {}
        for record in await self._query(asked, asked["specs"], recursive=True):
            name, version = record.name.normalized, record.version
            spec = specs.get(name)
            if spec is not None and (spec.build is not None or not spec.matches(record)):
                continue  # its author has chosen, or has not asked for this one
            if name not in newest or version > newest[name]:
                newest[name], builds[name] = version, set()
            if version == newest[name]:
                builds[name].add(str(record.build))
        found = {
            name: build_choice(asked["choices"], sorted(known)) for name, known in builds.items()
        }
        return {name: pattern for name, pattern in found.items() if pattern}

    async def _is_against(
        self, asked: Mapping[str, Any], found: Sequence[Any], chosen: Mapping[str, str]
    ) -> bool:
        """Whether a record is of another choice, though its version has builds of the right one."""
        builds: dict[tuple[str, str], set[str]] = defaultdict(set)
        for record in await self._query(asked, sorted(chosen), recursive=False):
            builds[record.name.normalized, str(record.version)].add(str(record.build))
        for record in found:
            known = builds[record.name.normalized, str(record.version)]
            pattern = build_choice(asked["choices"], sorted(known))
            if pattern and not re.search(pattern, str(record.build)):
                return True
        return False

    async def refused(self, asked: Mapping[str, Any], error: Exception) -> dict[str, Any]:
        """Why nothing fits, and which versions there are of what was asked for."""
        specs = [rattler.MatchSpec(spec) for spec in asked["specs"]]
        names = sorted({spec.name.normalized for spec in specs})
        builds: dict[str, dict[Any, set[str]]] = {name: {} for name in names}
        for record in await self._query(asked, names, recursive=False):
            builds[record.name.normalized].setdefault(record.version, set()).add(str(record.build))
        known = {
            name: {str(version): sorted(found[version]) for version in sorted(found)[-_SHOWN:]}
            for name, found in builds.items()
        }
        return {"refused": str(error), "known": known}


def _platforms(asked: Mapping[str, Any]) -> list[Any]:
    return [asked["subdir"], "noarch"]


def _virtual(text: str) -> Any:
    name, version, *build = text.split("=")
    return rattler.GenericVirtualPackage(
        rattler.PackageName(name),
        rattler.Version(version),
        rattler.package.BuildString(build[0] if build else "0"),
    )


def _sha256(record: Any) -> str:
    return record.sha256.hex() if record.sha256 else ""


def _fields(record: Any) -> dict[str, Any]:
    """A record as the channel has it, and what it asks of a machine."""
    needs = [rattler.MatchSpec(text) for text in record.depends if text.strip().startswith("__")]
    return {**json.loads(record.to_json()), "needs": sorted({_need(spec) for spec in needs})}


def _need(spec: Any) -> str:
    version, build = spec.version, spec.build
    parts = [spec.name.normalized, version or ("*" if build else ""), build or ""]
    return " ".join(str(part) for part in parts if part)


async def _run(job: Mapping[str, Any]) -> None:
    config = rattler.Config.from_toml(job["config"])
    client = rattler.networking.Client.from_config(
        config, max_retries=2, user_agent="nixenv", timeout=job["timeout"]
    )
    gateway = rattler.Gateway.from_config(config, cache_dir=job["cache"], client=client)
    try:
        await _do(job, gateway)
    except GatewayError as error:
        _say({"failed": str(error), "channel": await _guilty(job, gateway, str(error))})


async def _guilty(job: Mapping[str, Any], gateway: Any, said: str) -> str:
    """Which channel failed: not every error of rattler's names it."""
    named = [channel for channel in job["channels"] if f"{channel}/" in said]
    if named:
        return str(max(named, key=len))
    platforms = job.get("platforms") or [*{asked["subdir"] for asked in job["systems"]}, "noarch"]
    asked = [
        gateway.names([channel], platforms, channel_relations="disabled")
        for channel in job["channels"]
    ]
    answers = zip(
        job["channels"], await asyncio.gather(*asked, return_exceptions=True), strict=True
    )
    return next((channel for channel, found in answers if isinstance(found, GatewayError)), "")


async def _do(job: Mapping[str, Any], gateway: Any) -> None:
    if "names" in job:
        _say({"names": await _names(job, gateway)})
        return
    solver = _Solver(job, gateway)
    first, *others = job["systems"]
    answer = await _answer(solver, first)
    _say(answer)
    if "records" not in answer:
        return
    python = [record["version"] for record in answer["records"] if record["name"] == "python"]
    rule = [f"python =={python[0]}"] if python else []  # one lock has one Python
    await asyncio.gather(*(_tell(solver, asked, rule) for asked in others))


async def _tell(solver: _Solver, asked: Mapping[str, Any], rule: list[str]) -> None:
    _say(await _answer(solver, {**asked, "constraints": [*asked["constraints"], *rule]}))


async def _answer(solver: _Solver, asked: Mapping[str, Any]) -> dict[str, Any]:
    said = {"system": asked["system"]}
    try:
        records = await solver.solve(asked)
    except SolverError as error:
        return {**said, **await solver.refused(asked, error)}
    return {**said, "records": [_fields(record) for record in records]}


async def _names(job: Mapping[str, Any], gateway: Any) -> dict[str, str]:
    """Which of the job's names are in which channel, the first that has it."""
    found: dict[str, str] = {}
    wanted = set(job["names"])
    for channel in job["channels"]:
        have = await gateway.names([channel], job["platforms"], channel_relations="disabled")
        for name in wanted & {item.normalized for item in have}:
            found.setdefault(name, channel)
    return found


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _limit(kind: int, most: int) -> None:
    """Bind this process; nobody may have more than is allowed already."""
    _, allowed = resource.getrlimit(kind)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(kind, (most, allowed))


def main(path: str) -> None:
    """Solve the job in the file at `path`; does not come back."""
    _limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    _limit(resource.RLIMIT_DATA, _LARGEST_MEMORY)
    asyncio.run(_run(json.loads(Path(path).read_text(encoding="utf-8"))))
    os._exit(0)  # see above

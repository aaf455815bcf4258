"""Checks of the way to the registry: does it answer, and does it agree what time it is."""

from __future__ import annotations

import shlex
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from nixenv.doctor.finding import Finding, Surroundings
from nixlib.errors import NetworkError
from nixlib.resolvers.indexes import Index

PATIENCE = 10.0
"""Seconds: a registry that needs longer for one small page is as good as none."""

CLOCK_WARNING = 120.0
CLOCK_PROBLEM = 24 * 3600.0
"""Seconds: certificates and `exclude-newer` count in days; two minutes already date files wrongly."""


def check_registries(around: Surroundings) -> tuple[Finding, ...]:
    """Whether every registry answers, and how far this machine's clock is from the first one's."""
    asked = [_ask(index, around) for index in around.indexes]
    clocks = [clock for _, date in asked for clock in _clock_findings(date, time.time())]
    return (*(finding for finding, _ in asked), *clocks[:1])


def _ask(index: Index, around: Surroundings) -> tuple[Finding, str]:
    """What one registry's answer says, and its `Date` header (empty when it has none)."""
    from http.client import HTTPException  # noqa: PLC0415 - what only this check needs

    from nixlib.network.httpclient import HttpClient  # noqa: PLC0415

    # `pip` is on every full registry; where it is not, a 404 is an answer too.
    url = index.url if index.flat else f"{index.url.rstrip('/')}/pip/"
    patience = min(PATIENCE, around.settings.timeout)
    try:
        with (
            HttpClient(
                timeout=patience,
                auth=lambda _: index.credentials,
                certificates=around.certificates,
            ) as client,
            client.request("HEAD", url) as answer,
        ):
            status, date = answer.status, answer.headers.get("date", "")
    except (OSError, HTTPException, NetworkError) as error:
        return _silent(index.public, str(error) or type(error).__name__), ""
    if status in (401, 403):
        return _closed(index.public, status), date
    if status >= 500 or status == 407:  # noqa: PLR2004
        return _silent(index.public, f"it answers {status}"), date
    return Finding("registry", "ok", f"the package registry `{index.public}` answers"), date


def _closed(index: str, status: int) -> Finding:
    host = urlsplit(index).hostname
    return Finding(
        "registry",
        "problem",
        f"the package registry `{index}` wants a valid login: it answers {status}",
        "environments that are there start without it; nothing new can be resolved or downloaded."
        f" Put `machine {host} login NAME password PASSWORD` into `~/.netrc`",
        f"curl --netrc --head {shlex.quote(index.rstrip('/') + '/pip/')}",
    )


def _silent(index: str, reason: str) -> Finding:
    return Finding(
        "registry",
        "problem",
        f"the package registry `{index}` does not answer: {reason.lower()}",
        "environments that are there start without it; nothing new can be resolved or downloaded."
        " Behind a proxy, set `HTTPS_PROXY`; for a registry of your own, `UV_DEFAULT_INDEX`",
        f"curl --head {shlex.quote(index.rstrip('/') + '/pip/')}",
    )


def _clock_findings(date: str, now: float) -> tuple[Finding, ...]:
    try:
        there = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return ()
    apart = abs(now - there)
    if apart < CLOCK_WARNING:
        return (Finding("clock", "ok", "this machine's clock agrees with the registry's"),)
    way = "behind" if now < there else "ahead of"
    return (
        Finding(
            "clock",
            "problem" if apart >= CLOCK_PROBLEM else "warning",
            f"this machine's clock is {_span(apart)} {way} the registry's",
            "certificates look invalid to it, and `exclude-newer` cuts at the wrong moment",
            "sudo timedatectl set-ntp true",
        ),
    )


def _span(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"

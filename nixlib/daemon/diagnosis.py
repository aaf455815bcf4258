"""What went wrong with Nix, said so that its user can act: evidence in, one of our errors out.

Nix reports most trouble as English text, so this is the only place that looks into such text. What it
does not know it passes on as evidence under a first line of ours.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
from typing import TYPE_CHECKING

from nixlib.errors import (
    BuildError,
    DaemonRefusedError,
    DaemonUnavailableError,
    ProtocolError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nixlib.daemon.protocol import Failure

# What a builder printed says nothing of Nix: that lines of it follow ends Nix's own words.
_BUILD_LOG = re.compile(r"\n\s*last \d+ log lines:.*", re.DOTALL | re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What else moves a terminal's cursor or changes its title; whoever writes a builder writes its log.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINE = 1000
_LOG_TAIL = 20
_SOCKET_GROUP = "nix-users"


def current_user() -> str:
    """The user whose rights count, by name where the system knows one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def operation_failed(action: str, failure: Failure) -> StoreError:
    """The daemon answered, and the answer was an error.

    Args:
        action: What was being done, such as "add `numpy`".
        failure: The daemon's own words.
    """
    text = _BUILD_LOG.sub("", _ANSI.sub("", failure.text)).removeprefix("error: ").strip()
    details = (*text.splitlines(), *(_ANSI.sub("", trace) for trace in failure.traces))
    if "No space left on device" in text or "disk is full" in text:
        return StoreError(
            f"cannot {action}: the disk of the Nix store is full",
            details=details,
            hint="`nix-store --gc` deletes what nothing needs",
            reason="full",
        )
    if "Read-only file system" in text:
        return StoreError(
            f"cannot {action}: the Nix store is on a read-only disk",
            details=details,
            reason="read-only",
        )
    if "is not allowed to connect" in text:
        return not_allowed(details)
    if "Permission denied" in text:
        return DaemonRefusedError(
            f"cannot {action}: user `{current_user()}` may not write the Nix store",
            details=details,
            user=current_user(),
            setting="permissions",
        )
    return StoreError(f"cannot {action}: Nix reports an error", details=details, reason="nix")


# What Nix 2.4 to 2.34 say of a builder, innermost first.
_EXITED = re.compile(r"failed with exit code (\d+)")
_KILLED = re.compile(r"failed due to signal (\d+)")
_TIMED_OUT = re.compile(r"timed out after (\d+) seconds")
_NO_OUTPUT = re.compile(r"failed to produce output")


def build_failed(
    name: str, drv: str, error: StoreError, lines: tuple[str, ...], *, silence: int
) -> StoreError:
    """A build did not succeed: the builder's fault, or Nix's own.

    Args:
        name: What was to be built.
        drv: Its derivation.
        error: How Nix reported it.
        lines: What the builder printed last.
        silence: Seconds of silence that it was allowed.
    """
    if isinstance(error, (DaemonUnavailableError, DaemonRefusedError, ProtocolError)):
        return error
    if error.fields.get("reason") != "nix":
        return error
    text = "\n".join(error.details)
    reason, status, what = _verdict(text, silence)
    if reason == "refused":
        return BuildError(
            f"cannot build `{name}`: Nix does not run its builder",
            details=error.details,
            reason=reason,
            status=None,
            drv_path=drv,
            log_tail=lines,
            log_file="",
        )
    return build_error(name, what, reason=reason, status=status, drv_path=drv, lines=lines)


def build_error(
    name: str, what: str, *, reason: str, status: int | None, drv_path: str, lines: tuple[str, ...]
) -> BuildError:
    """A builder failed; the last of its lines are the evidence."""
    return BuildError(
        f"cannot build `{name}`: {what}",
        details=tail("\n".join(lines)),
        reason=reason,
        status=status,
        drv_path=drv_path,
        log_tail=lines,
        log_file="",
    )


def _verdict(text: str, silence: int) -> tuple[str, int | None, str]:
    if found := _EXITED.search(text):
        return "failed", int(found[1]), f"its builder failed with exit status {found[1]}"
    if found := _KILLED.search(text):
        return "failed", -int(found[1]), f"its builder was killed by signal {found[1]}"
    if found := _TIMED_OUT.search(text):
        # Nix 2.34 says no longer which of its two clocks it was.
        if int(found[1]) == silence:
            return "silent", None, f"its builder printed nothing for {found[1]} s and was killed"
        return "too-long", None, f"its builder was not done after {found[1]} s and was killed"
    if _NO_OUTPUT.search(text):
        return "failed", 0, "its builder ended without making anything"
    return "refused", None, ""


def not_allowed(details: Sequence[str]) -> DaemonRefusedError:
    """The daemon's own configuration shuts this user out."""
    user = current_user()
    return DaemonRefusedError(
        f"the Nix daemon refused the connection: user `{user}` is not in `allowed-users`",
        details=tuple(details),
        hint=f"an administrator can add `{user}` to `allowed-users` in `/etc/nix/nix.conf`",
        user=user,
        setting="allowed-users",
    )


def socket_failed(path: str, error: OSError) -> StoreError:
    """A daemon's socket could not be connected to."""
    detail = f"socket `{path}`: {error.strerror or error}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        user = current_user()
        return DaemonRefusedError(
            f"user `{user}` may not use the Nix daemon's socket",
            details=(detail, f"on Debian and Ubuntu it is open to the group `{_SOCKET_GROUP}`"),
            hint=f"`sudo usermod -aG {_SOCKET_GROUP} {user}`, then log in again",
            user=user,
            setting=_SOCKET_GROUP,
        )
    return DaemonUnavailableError(
        "no Nix daemon answers",
        details=(detail,),
        hint="a store of your own needs none: `export NIX_REMOTE=$HOME/.local/share/nixenv/store`",
        tried=(path,),
    )


def closed_at_once(where: str, log: str) -> StoreError:
    """The other end hung up before it had said who it is."""
    details = (where, *tail(log))
    if "is not allowed to connect" in log:
        return not_allowed(details)
    lowered = log.lower()
    # As root, Nix first tries to make a read-only store writable, and reports that it could not.
    if "read-only file system" in lowered or "remounting" in lowered:
        return StoreError(
            "cannot open the Nix store: it is on a read-only disk",
            details=details,
            reason="read-only",
        )
    if "no space left" in lowered or "disk is full" in lowered:
        return StoreError(
            "cannot open the Nix store: its disk is full",
            details=details,
            hint="`nix-store --gc` deletes what nothing needs",
            reason="full",
        )
    if "permission denied" in lowered:
        return DaemonRefusedError(
            f"user `{current_user()}` may not open the Nix store",
            details=details,
            user=current_user(),
            setting="permissions",
        )
    if log.strip():
        return DaemonUnavailableError(
            "Nix could not open its store", details=details, tried=(where,)
        )
    # A daemon says nothing to whom it does not allow in: it logs, and hangs up.
    return DaemonRefusedError(
        f"the Nix daemon hung up on user `{current_user()}`",
        details=(*details, "most often the user is not in `allowed-users` of `/etc/nix/nix.conf`"),
        user=current_user(),
        setting="allowed-users",
    )


def went_away(action: str, where: str, log: str) -> DaemonUnavailableError:
    """The line broke in the middle of an operation."""
    return DaemonUnavailableError(
        f"cannot {action}: the Nix daemon went away", details=(where, *tail(log)), tried=(where,)
    )


def silent(action: str, where: str, seconds: float) -> DaemonUnavailableError:
    """Nothing came over the line for too long."""
    return DaemonUnavailableError(
        f"cannot {action}: the Nix daemon was silent for {seconds:g} s",
        details=(where,),
        tried=(where,),
    )


def nix_missing(program: str, tried: Sequence[str]) -> DaemonUnavailableError:
    """There is neither a daemon nor a Nix to start one of our own."""
    return DaemonUnavailableError(
        "there is no Nix on this machine",
        details=(f"`{program}` is not on PATH", *tried),
        hint="`apt-get install nix-bin` on Debian and Ubuntu; https://nixos.org/download elsewhere",
        tried=tuple(tried),
    )


def tail(log: str) -> tuple[str, ...]:
    """The last lines of another program's output, as evidence, fit for a terminal."""
    lines = _ANSI.sub("", log).strip().splitlines()[-_LOG_TAIL:]
    return tuple(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", line)[:_LINE] for line in lines)

"""Where a store is: Nix's own ways of naming one, read without touching any.

Nix manual, "Store Types" (`local`, `unix`, `auto`) and "Common Environment Variables".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl, unquote, urlencode

from nixlib.errors import StoreError
from nixlib.storepath import STORE_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_DIR = "/nix/var/nix"


@dataclass(frozen=True, slots=True)
class Location:
    """A store, and how to reach it.

    Attributes:
        kind: `socket` (a daemon listens), `process` (we start one), `auto` (the first that works).
        store_dir: Logical store directory, the one that paths are computed for.
        physical_dir: Where its objects lie on this machine's disk.
        state_dir: Where its GC roots lie on this machine's disk.
        socket: Where its daemon would listen.
        uri: What our own daemon process is given as `NIX_REMOTE`.
    """

    kind: Literal["socket", "process", "auto"]
    store_dir: str
    physical_dir: Path
    state_dir: Path
    socket: str
    uri: str


def locate(uri: str | None, env: Mapping[str, str]) -> Location:
    """The store that `uri` names; without one, what `NIX_REMOTE` in `env` names.

    Raises:
        StoreError: A kind of store that cannot be added to over the daemon's protocol, or unknown.
    """
    text = (env.get("NIX_REMOTE", "") if uri is None else uri) or "auto"
    if text.startswith(("/", "./", "../", "~/")):
        text = f"local?{urlencode({'root': str(Path(text).expanduser().absolute())})}"
    scheme, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    store_dir = options.get("store") or env.get("NIX_STORE_DIR") or STORE_DIR
    physical, state = _directories(options, store_dir, env)
    socket = env.get("NIX_DAEMON_SOCKET_PATH") or f"{state}/daemon-socket/socket"
    if scheme in {"auto", "local", "local://"}:
        kind: Literal["process", "auto"] = "auto" if scheme == "auto" else "process"
        query = f"?{query}" if query else ""
        return Location(kind, store_dir, physical, state, socket, f"local{query}")
    if scheme == "daemon" or scheme.startswith("unix://"):
        socket = unquote(scheme.removeprefix("unix://").removeprefix("daemon")) or socket
        return Location("socket", store_dir, physical, state, socket, text)
    raise StoreError(
        f"`{text}` is not a store that environments can be made in",
        details=(
            "known are `auto`, `daemon`, `unix:///SOCKET`, `local?root=/DIR` and a directory",
        ),
        reason="uri",
    )


def own_store(env: Mapping[str, str]) -> Location:
    """A chroot store in this user's home: the way in without root, daemon or namespaces.

    The same place where Nix 2.10 and newer look in the same case, so that both see one store.
    """
    data = env.get("XDG_DATA_HOME") or f"{env.get('HOME') or '~'}/.local/share"
    return locate(str(Path(data).expanduser() / "nix" / "root"), env)


def _directories(
    options: Mapping[str, str], store_dir: str, env: Mapping[str, str]
) -> tuple[Path, Path]:
    root = options.get("root", "")
    if root:
        # As Nix does it: under a root the standard places hold, whatever the environment says.
        physical, state = f"{root}{STORE_DIR}", f"{root}{STATE_DIR}"
    else:
        physical, state = store_dir, env.get("NIX_STATE_DIR") or STATE_DIR
    return Path(options.get("real") or physical), Path(options.get("state") or state)

"""Enclosed builds: code of others runs where it sees the store, and nothing else of this machine.

Two walls. Nix's own sandbox, where the daemon has it on: a client cannot ask for it, and
`sandbox-fallback` turns it off without a word. And namespaces of our own, which `builders/enclose.py`
makes before anything of others runs. One of the two is enough, and a builder that has neither stops.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from nixlib.errors import SandboxError
from nixlib.storepath import StorePath

CANNOT_ENCLOSE: Final = 77
"""Exit status of a builder that found itself without walls; nothing of others has run then."""

SETTING: Final = "sandbox = true"


def enclosing(
    command: Sequence[str],
    layers: Collection[StorePath],
    loader: Sequence[str],
    store_dir: str,
) -> dict[str, Any]:
    """What `builders/enclose.py` is told: the command and what the file system around it consists of."""
    return {
        "command": list(command),
        "layers": [path.in_dir(store_dir) for path in layers],
        "loader": list(loader),
        "store": store_dir,
    }


def exporting_closure(sources: Collection[StorePath], store_dir: str) -> dict[str, str]:
    """The variable that makes Nix write down what belongs to the sources, for the builder to read.

    So a build sees the same store objects whether Nix's own sandbox hides the others or we do.
    """
    words = (
        f"closure-{number} {path.in_dir(store_dir)}" for number, path in enumerate(sorted(sources))
    )
    return {"exportReferencesGraph": " ".join(words)}


def sandbox_error(seen: Sequence[str], name: str = "") -> SandboxError:
    """Nothing isolates builds here.

    Args:
        seen: What shows it.
        name: What was to be built, where it is something in particular.
    """
    what = f"`{name}` cannot be built" if name else "nothing can be built from source"
    return SandboxError(
        f"{what} here: nothing would keep the build from your files and from the network",
        details=tuple(seen),
        hint="`echo 'sandbox = true' | sudo tee -a /etc/nix/nix.conf`, then restart `nix-daemon`",
        seen=tuple(seen),
        setting=SETTING,
    )

"""Derivations: what Nix is to run, as the text that it keeps of it, and where the result will lie (pure).

Nix manual, "Store Derivation" and "Derivation outputs". Ours have one output and only sources, never
other derivations, so both paths are arithmetic on bytes: no evaluator, no daemon. `expr/enclosed.nix`
is the same thing in Nix's own language, and tests hold the two equal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from nixlib.errors import StoreError
from nixlib.storepath import STORE_DIR, StorePath, check_name, output_path, text_path

_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Nix sets these itself, or reads them as orders of its own.
_TAKEN = frozenset(("args", "builder", "name", "out", "outputs", "system"))


@dataclass(frozen=True)
class Derivation:
    """A build with one output, `out`, that depends on store objects which are valid already.

    Attributes:
        name: The output's name in the store.
        system: Nix's name of the machine that can run it, `x86_64-linux`.
        builder: The program, by its logical path in the store.
        args: Its arguments.
        env: Its variables, beside those that Nix sets.
        sources: Everything that the build may see; what their references lead to comes along.
    """

    name: str
    system: str
    builder: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    sources: frozenset[StorePath] = frozenset()

    def __post_init__(self) -> None:
        check_name(f"{self.name}.drv")
        strange = sorted(key for key in self.env if key in _TAKEN or not _VARIABLE.fullmatch(key))
        words = (self.system, self.builder, *self.args, *self.env.values())
        if strange or any("\0" in word for word in words):
            found = f"variable `{strange[0]}`" if strange else "a NUL character"
            raise StoreError(
                f"`{self.name}` cannot be a derivation", details=(found,), reason="derivation"
            )

    def __hash__(self) -> int:
        return hash((self.name, self.builder, self.args, self.sources))

    def output(self, store_dir: str = STORE_DIR) -> StorePath:
        """Where the output will lie."""
        return _paths(self, store_dir)[0]

    def path(self, store_dir: str = STORE_DIR) -> StorePath:
        """Where the derivation itself lies, as `NAME.drv`."""
        return _paths(self, store_dir)[1]

    def text(self, store_dir: str = STORE_DIR) -> bytes:
        """What the store keeps of it: an ATerm, in the one way that Nix writes it."""
        return _text(self, store_dir, self.output(store_dir).in_dir(store_dir))


@lru_cache(maxsize=1024)
def _paths(derivation: Derivation, store_dir: str) -> tuple[StorePath, StorePath]:
    masked = hashlib.sha256(_text(derivation, store_dir, "")).digest()
    output = output_path(derivation.name, masked, store_dir)
    text = _text(derivation, store_dir, output.in_dir(store_dir))
    drv = f"{derivation.name}.drv"
    return output, text_path(drv, hashlib.sha256(text).digest(), derivation.sources, store_dir)


def _text(derivation: Derivation, store_dir: str, output: str) -> bytes:
    env = {
        **derivation.env,
        "builder": derivation.builder,
        "name": derivation.name,
        "out": output,
        "system": derivation.system,
    }
    parts = (
        _list([_tuple(["out", output, "", ""])]),
        "[]",  # no derivation is built first
        _list(_string(path.in_dir(store_dir)) for path in sorted(derivation.sources)),
        _string(derivation.system),
        _string(derivation.builder),
        _list(map(_string, derivation.args)),
        _list(_tuple([key, env[key]]) for key in sorted(env)),
    )
    return f"Derive({','.join(parts)})".encode("utf-8", "surrogateescape")


def _list(items: Iterable[str]) -> str:
    return f"[{','.join(items)}]"


def _tuple(texts: Iterable[str]) -> str:
    return f"({','.join(map(_string, texts))})"


def _string(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'

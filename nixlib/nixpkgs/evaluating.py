"""What attributes of a revision are, by `nix-instantiate` in pure and restricted evaluation.

A revision's files are a stranger's program. It sees its own tree and nothing else: no file of this machine, no
variable, no clock, no network, and it builds nothing while it is evaluated. What the notebook says reaches it
as JSON in one argument, after its own grammar let it pass. Answers are a function of the request, so they are
kept, and the same question is not evaluated twice.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nixlib.canonical import digest
from nixlib.errors import EvaluationError, StoreError
from nixlib.nixpkgs.program import Answer, Limits, run_program
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.nixpkgs.revisions import Revision
    from nixlib.settings import Settings

Role = Literal["requirement", "build", "library", "interpreter"]

_EXPRESSION = Path(__file__).parent.parent / "expr" / "attribute.nix"
_OPTIONS = {
    "pure-eval": "true",
    "restrict-eval": "true",
    # The only address that may be named, and `.invalid` is nobody's (RFC 2606): the tree is there already.
    "allowed-uris": "https://source.invalid/",
    "allow-import-from-derivation": "false",
    "allow-unsafe-native-code-during-evaluation": "false",
}
_SECONDS = 300.0
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_SHOWN = 6
_NEAR = 5
_MAX_OUTPUTS = 2000


@dataclass(frozen=True, order=True)
class Asked:
    """An attribute, and what it is for."""

    attribute: str
    role: Role = "requirement"


@dataclass(frozen=True)
class Found:
    """What an attribute is on one system.

    Attributes:
        name: What it calls itself.
        version: Its version; empty where it has none.
        outputs: The store paths that join, the main output first.
        python: For a Python package: the full version of its Python.
        modules: For a Python package: name and version of it and of every other that it needs.
    """

    name: str
    version: str
    outputs: tuple[StorePath, ...]
    python: str = ""
    modules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Evaluator:
    """Asks one revision about one system.

    Attributes:
        revision: Which.
        system: Nix's name of it; any, not only this machine's.
        settings: Which store, and where answers are kept.
        cancel: Stops it.
        store_dir: The store's own.
        ensure: Makes the revision's tree valid; called only where no answer is kept.
    """

    revision: Revision
    system: str
    settings: Settings
    cancel: Cancel
    store_dir: str
    ensure: Callable[[Revision], None]

    def outputs(self, asked: Sequence[Asked]) -> dict[Asked, Found]:
        """What each of `asked` is.

        Raises:
            EvaluationError: One is missing, is no package, or fails; its field `attribute` says which.
            RealisationCancelledError: Somebody stopped it.
        """
        if not asked:
            return {}
        try:
            values = self._answer("outputs", asked)
        except EvaluationError:
            if len(asked) == 1:
                raise
            # Which of them it was shows when each is asked alone.
            return {each: self.outputs([each])[each] for each in asked}
        if not isinstance(values, list) or len(values) != len(asked):
            raise self._malformed(values)
        return {each: self._found(each, value) for each, value in zip(asked, values, strict=True)}

    def pythons(self) -> dict[str, str]:
        """The version of each Python that the revision has, by attribute."""
        value = self._answer("pythons", ())
        if not isinstance(value, dict):
            raise self._malformed(value)
        return {str(name): str(version) for name, version in value.items()}

    def modules(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` that the revision has in `python3Packages`."""
        asked = [Asked(name) for name in sorted(names) if _ATTRIBUTE.fullmatch(name)]
        values = self._answer("modules", asked)
        if not isinstance(values, list) or len(values) != len(asked):
            raise self._malformed(values)
        return frozenset(
            each.attribute for each, value in zip(asked, values, strict=True) if value is True
        )

    def instantiate(self, asked: Sequence[Asked]) -> tuple[str, ...]:
        """Write the derivations of `asked` into the store; each as `…drv` or `…drv!output`."""
        arguments = self._arguments("derivations", asked)
        answer = self._run(arguments, asked)
        return tuple(answer.output.decode().split())

    def _answer(self, kind: str, asked: Sequence[Asked]) -> Any:
        key = digest([self._request(kind, asked), _expression()])
        kept = self.settings.cache_dir / "nixpkgs" / f"{key}.json"
        try:
            return json.loads(kept.read_bytes())
        except (OSError, ValueError):
            pass
        answer = self._run(["--eval", "--strict", "--json", *self._arguments(kind, asked)], asked)
        try:
            value = json.loads(answer.output)
        except ValueError as error:
            raise self._malformed(answer.output[:200]) from error
        _keep(kept, answer.output)
        return value

    def _request(self, kind: str, asked: Sequence[Asked]) -> dict[str, Any]:
        for each in asked:
            if not _ATTRIBUTE.fullmatch(each.attribute):  # grammars let nothing else pass
                raise EvaluationError(
                    f"`{each.attribute[:60]}` is not an attribute path", attribute=each.attribute
                )
        return {
            "tree": self.revision.tree,
            "system": self.system,
            "answer": kind,
            "asked": [{"path": each.attribute.split("."), "role": each.role} for each in asked],
        }

    def _arguments(self, kind: str, asked: Sequence[Asked]) -> list[str]:
        options = [word for pair in _OPTIONS.items() for word in ("--option", *pair)]
        request = json.dumps(self._request(kind, asked), sort_keys=True)
        return [*options, "--argstr", "request", request, "--expr", _expression()]

    def _run(self, arguments: Sequence[str], asked: Sequence[Asked]) -> Answer:
        self.ensure(self.revision)
        limits = Limits(seconds=_SECONDS, silence=_SECONDS)
        try:
            answer = run_program(
                "nix-instantiate",
                arguments,
                settings=self.settings,
                cancel=self.cancel,
                limits=limits,
            )
        except StoreError as error:
            if "reason" not in error.fields:
                raise
            raise self._failed(asked, error.summary, error.details) from error
        if answer.status:
            raise self._failed(asked, *_reason(answer))
        return answer

    def _found(self, asked: Asked, value: Any) -> Found:
        if isinstance(value, dict) and "missing" in value:
            raise self._missing(asked, str(value["missing"]), value.get("near", ()))
        if isinstance(value, dict) and "kind" in value:
            raise EvaluationError(
                f"`{self._name(asked)}` is not a package: it is a {value['kind']}",
                details=self._where(),
                **self._fields(asked),
            )
        try:
            # What a stranger's program printed: taken for paths and names only if it is such.
            return Found(
                name=_text(value["name"]),
                version=_text(value["version"]),
                python=_text(value["python"]),
                outputs=self._paths(value["outputs"]),
                modules=tuple((_text(m["name"]), _text(m["version"])) for m in value["modules"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed(value) from error

    def _paths(self, texts: Sequence[object]) -> tuple[StorePath, ...]:
        if not texts or len(texts) > _MAX_OUTPUTS:
            raise ValueError(len(texts))
        return tuple(dict.fromkeys(StorePath.parse(_text(text), self.store_dir) for text in texts))

    def _missing(self, asked: Asked, name: str, offered: Sequence[object]) -> EvaluationError:
        import difflib  # noqa: PLC0415 - for a failure only

        near = difflib.get_close_matches(name, [str(each) for each in offered], n=_NEAR)
        before = asked.attribute.split(".")[: asked.attribute.split(".").index(name)]
        guess = ".".join([*before, near[0]]) if near else ""
        return EvaluationError(
            f"`{self.revision.repository.source}` has no `{asked.attribute}`",
            details=(*self._where(), *((f"it has {', '.join(near)}",) if near else ())),
            hint=f"did you mean `{self.revision.repository.source}#{guess}`?" if guess else "",
            **self._fields(asked),
        )

    def _failed(self, asked: Sequence[Asked], why: str, details: Sequence[str]) -> EvaluationError:
        first = asked[0] if asked else Asked("python3", "interpreter")
        return EvaluationError(
            f"`{self._name(first)}` cannot be evaluated: {why}",
            details=(*self._where(), *details[-_SHOWN:]),
            hint=_hint(" ".join((why, *details)), self.revision.repository.source, first.attribute),
            **self._fields(first),
        )

    def _malformed(self, value: object) -> EvaluationError:
        return EvaluationError(
            f"`{self.revision.repository.source}` is not of the shape of nixpkgs",
            details=(*self._where(), f"it answered {str(value)[:200]!r}"),
            source=self.revision.repository.source,
            revision=self.revision.commit,
            system=self.system,
        )

    def _name(self, asked: Asked) -> str:
        return f"{self.revision.repository.source}#{asked.attribute}"

    def _where(self) -> tuple[str, ...]:
        return (f"revision {self.revision.commit}, system `{self.system}`",)

    def _fields(self, asked: Asked) -> dict[str, Any]:
        return {
            "attribute": asked.attribute,
            "source": self.revision.repository.source,
            "revision": self.revision.commit,
            "system": self.system,
        }


@cache
def _expression() -> str:
    return _EXPRESSION.read_text(encoding="utf-8")


def _keep(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with suppress(OSError):  # a full disk costs another evaluation
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(path)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 1000 or any(ord(c) < 32 for c in value):  # noqa: PLR2004
        raise ValueError(str(value)[:100])
    return value


_ERROR = re.compile(r"\s*error: (?P<text>.*)")


def _reason(answer: Answer) -> tuple[str, tuple[str, ...]]:
    """Why Nix says that it failed: the last line with an error, and what it said around it."""
    found = (_ERROR.fullmatch(line) for line in answer.log)
    errors = [match["text"] for match in found if match and match["text"]]
    said = tuple(line.strip() for line in answer.log if line.strip() and "--show-trace" not in line)
    ended = f"it ended by signal {-answer.status}" if answer.status < 0 else "Nix says why below"
    return (errors[-1] if errors else ended), said


def _hint(text: str, source: str, attribute: str) -> str:
    """What is sure to help against `text`, or nothing."""
    if "requires Nix" in text or "Nix >=" in text or "Nix version" in text:
        return f"`{source}/nixos-24.11#{attribute}` is of the last branch for an older Nix"
    return ""

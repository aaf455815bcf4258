"""The worker protocol's versions, requests and replies, as bytes; no line to a daemon is needed.

Nix 2.4 speaks 1.32, Nix 2.36 speaks 1.38 and has said that later changes will be named features. Both
sides use the smaller of their two versions. Sources: Nix's `worker-protocol.hh`, `daemon.cc`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixlib.daemon import wire
from nixlib.errors import ProtocolError
from nixlib.pathinfo import PathInfo
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nixlib.daemon.wire import Source

CLIENT_MAGIC = 0x6E697863
DAEMON_MAGIC = 0x6478696F
MAJOR = 1
# 1.25 brought the framed AddToStore, the only way of adding that streams.
OLDEST_MINOR = 25
NEWEST_MINOR = 38
# None of the named features (realisations by path, deleting referrers) concerns what we ask.
FEATURES: tuple[str, ...] = ()

CONTENT_ADDRESS_METHOD = "fixed:r:sha256"
TEXT_METHOD = "text:sha256"

# Nix's `ResultType`: a line that a builder printed, or one that was printed after the build.
_BUILD_LINES = frozenset((101, 107))


class Operation(enum.IntEnum):
    """The requests that we make, by Nix's own numbers and names."""

    ADD_TO_STORE = 7
    BUILD_PATHS = 9
    ENSURE_PATH = 10
    ADD_TEMP_ROOT = 11
    ADD_INDIRECT_ROOT = 12
    SET_OPTIONS = 19
    QUERY_PATH_INFO = 26
    QUERY_VALID_PATHS = 31
    QUERY_MISSING = 40


class _Tag(enum.IntEnum):
    NEXT = 0x6F6C6D67
    READ = 0x64617461
    WRITE = 0x64617416
    LAST = 0x616C7473
    ERROR = 0x63787470
    START_ACTIVITY = 0x53545254
    STOP_ACTIVITY = 0x53544F50
    RESULT = 0x52534C54


@dataclass(frozen=True, slots=True)
class Log:
    """A line that the daemon wants its user to see."""

    text: str


@dataclass(frozen=True, slots=True)
class BuildLine:
    """A line that a builder printed."""

    text: str


@dataclass(frozen=True, slots=True)
class Activity:
    """Something the daemon started to do, such as a download; `kind` is Nix's `ActivityType`."""

    id: int
    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that says nothing we report: an activity's end or its progress."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The operation failed; `traces` say what the daemon was doing, innermost last."""

    text: str
    traces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The operation is over and its reply follows."""


Message = Log | BuildLine | Activity | Ignored | Failure | Done


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a handshake settled: the minor version both sides use, and who the daemon is."""

    minor: int
    nix_version: str = ""
    trusted: bool | None = None
    features: tuple[str, ...] = field(default=())


def hello() -> bytes:
    """The first bytes a client sends."""
    return wire.encode_int(CLIENT_MAGIC) + wire.encode_int(MAJOR << 8 | NEWEST_MINOR)


def read_hello(source: Source) -> int:
    """The minor version to use with the daemon that answers.

    Raises:
        ProtocolError: Not a Nix daemon, another major version, or older than Nix 2.4.
    """
    magic = wire.decode_int(source)
    if magic != DAEMON_MAGIC:
        raise ProtocolError(f"not a Nix daemon: it greets with {magic:#x}", operation="handshake")
    version = wire.decode_int(source)
    major, minor = version >> 8, version & 0xFF
    if major != MAJOR or minor < OLDEST_MINOR:
        raise ProtocolError(
            f"the Nix daemon speaks protocol {major}.{minor}, and Nix 2.4 or newer is needed",
            operation="handshake",
            version=f"{major}.{minor}",
        )
    return min(minor, NEWEST_MINOR)


def offer_features(minor: int) -> bytes:
    """What a client sends after the versions; empty below 1.38."""
    return wire.encode_texts(FEATURES) if minor >= 38 else b""  # noqa: PLR2004


def read_features(source: Source, minor: int) -> tuple[str, ...]:
    """What the daemon can do beyond its version."""
    return wire.decode_texts(source) if minor >= 38 else ()  # noqa: PLR2004


def post_hello() -> bytes:
    """No CPU affinity, no reserved space: two settings that no daemon heeds any more."""
    return wire.encode_int(0) + wire.encode_int(0)


def read_greeting(source: Source, minor: int, features: tuple[str, ...]) -> Greeting:
    """The end of the handshake, up to the message loop that closes it."""
    nix_version = wire.decode_text(source) if minor >= 33 else ""  # noqa: PLR2004
    # 0 unknown, 1 trusted, 2 not trusted.
    trust = wire.decode_int(source) if minor >= 35 else 0  # noqa: PLR2004
    return Greeting(minor, nix_version, {1: True, 2: False}.get(trust), features)


def read_message(source: Source, minor: int) -> Message:
    """One message of the loop in which the daemon talks while it works.

    Raises:
        ProtocolError: A message that has no place in what we ask for.
    """
    tag = wire.decode_int(source)
    if tag == _Tag.NEXT:
        return Log(wire.decode_text(source).rstrip("\n"))
    if tag == _Tag.LAST:
        return Done()
    if tag == _Tag.ERROR:
        return _read_failure(source, minor)
    if tag == _Tag.START_ACTIVITY:
        return _read_activity(source)
    if tag == _Tag.STOP_ACTIVITY:
        wire.decode_int(source)
        return Ignored()
    if tag == _Tag.RESULT:
        wire.decode_int(source)
        kind = wire.decode_int(source)
        texts = _read_fields(source)
        return BuildLine(texts[0]) if kind in _BUILD_LINES and texts else Ignored()
    raise ProtocolError(
        f"the Nix daemon sent message {tag:#x}, which has no place here",
        operation="messages",
        version=f"{MAJOR}.{minor}",
    )


def _read_failure(source: Source, minor: int) -> Failure:
    if minor < 26:  # noqa: PLR2004
        text = wire.decode_text(source)
        wire.decode_int(source)  # exit status
        return Failure(text)
    wire.decode_text(source)  # always "Error"
    wire.decode_int(source)  # verbosity
    wire.decode_text(source)  # a name, no longer used
    text = wire.decode_text(source)
    wire.decode_int(source)  # whether a position follows: never
    traces = []
    for _ in range(wire.decode_count(source)):
        wire.decode_int(source)
        traces.append(wire.decode_text(source))
    return Failure(text, tuple(traces))


def _read_activity(source: Source) -> Activity:
    number = wire.decode_int(source)
    wire.decode_int(source)  # verbosity
    kind = wire.decode_int(source)
    text = wire.decode_text(source)
    _read_fields(source)
    wire.decode_int(source)  # parent
    return Activity(number, kind, text)


def _read_fields(source: Source) -> list[str]:
    """The texts among an activity's or a result's fields."""
    texts = []
    for _ in range(wire.decode_count(source)):
        kind = wire.decode_int(source)
        if kind == 0:
            wire.decode_int(source)
        elif kind == 1:
            texts.append(wire.decode_bytes(source).decode("utf-8", "replace"))
        else:
            raise ProtocolError(f"the Nix daemon sent a field of type {kind}", operation="messages")
    return texts


@dataclass(frozen=True, slots=True)
class Codec:
    """Requests and replies in one negotiated version, for one store directory."""

    minor: int
    store_dir: str

    def paths(self, paths: Iterable[StorePath]) -> bytes:
        """A set of store paths, sorted as Nix sends them."""
        return wire.encode_texts([path.in_dir(self.store_dir) for path in sorted(set(paths))])

    def read_paths(self, source: Source) -> frozenset[StorePath]:
        """A set of store paths."""
        return frozenset(self._parse(text) for text in wire.decode_texts(source))

    def _parse(self, text: str) -> StorePath:
        return StorePath.parse(text, self.store_dir)

    def add_to_store(
        self, name: str, references: Collection[StorePath], method: str = CONTENT_ADDRESS_METHOD
    ) -> bytes:
        """Add a NAR, or a text, that follows in frames; the reply is `read_added`."""
        return b"".join(
            (
                wire.encode_int(Operation.ADD_TO_STORE),
                wire.encode_text(name),
                wire.encode_text(method),
                self.paths(references),
                wire.encode_int(0),  # repair
            )
        )

    def read_added(self, source: Source) -> PathInfo:
        """What `add_to_store` made."""
        return self._read_info(source, self._parse(wire.decode_text(source)))

    def query_valid_paths(self, paths: Iterable[StorePath]) -> bytes:
        """Which of these are valid? Substituters are not asked; the reply is `read_paths`."""
        substitute = wire.encode_int(0) if self.minor >= 27 else b""  # noqa: PLR2004
        return wire.encode_int(Operation.QUERY_VALID_PATHS) + self.paths(paths) + substitute

    def query_path_info(self, path: StorePath) -> bytes:
        """What is known of one path? The reply is `read_path_info`."""
        return self._about(Operation.QUERY_PATH_INFO, path)

    def read_path_info(self, source: Source, path: StorePath) -> PathInfo | None:
        """What is known of `path`, or nothing when it is not valid."""
        return self._read_info(source, path) if wire.decode_bool(source) else None

    def add_temp_root(self, path: StorePath) -> bytes:
        """Keep `path` while this connection lives, valid or not; the reply is an integer."""
        return self._about(Operation.ADD_TEMP_ROOT, path)

    def add_indirect_root(self, link: str) -> bytes:
        """Register a symbolic link as a GC root; the reply is an integer."""
        return wire.encode_int(Operation.ADD_INDIRECT_ROOT) + wire.encode_text(link)

    def query_missing(self, paths: Iterable[StorePath]) -> bytes:
        """What would making these valid take? The reply is `read_missing`."""
        return wire.encode_int(Operation.QUERY_MISSING) + self.paths(paths)

    def read_missing(self, source: Source) -> frozenset[StorePath]:
        """The paths that a substituter has, with what they need."""
        self.read_paths(source)  # would be built
        substitutable = self.read_paths(source)
        self.read_paths(source)  # unknown
        wire.decode_int(source)  # bytes to download
        wire.decode_int(source)  # bytes unpacked
        return substitutable

    def build_paths(self, paths: Iterable[StorePath]) -> bytes:
        """Make these valid, by substituting them; the reply is an integer."""
        return wire.encode_int(Operation.BUILD_PATHS) + self.paths(paths) + wire.encode_int(0)

    def build_output(self, drv: StorePath) -> bytes:
        """Build the output `out` of a derivation in the store; the reply is an integer."""
        wanted = [f"{drv.in_dir(self.store_dir)}!out"]
        return wire.encode_int(Operation.BUILD_PATHS) + wire.encode_texts(wanted) + bytes(8)

    def set_options(
        self, *, jobs: int, overrides: Mapping[str, str], silence: int = 0, substitutes: bool = True
    ) -> bytes:
        """Settings for this connection only; there is no reply but the message loop's end.

        Args:
            jobs: Builds and substitutions at a time.
            overrides: Settings by their names in `nix.conf`; Nix ignores what this user may not set.
            silence: Seconds after which a builder that prints nothing is killed; 0 for never.
            substitutes: Whether caches are asked for what would be built.
        """
        keep_failed = fallback = verbosity = verbose_build = log_type = trace = cores = 0
        keep_going = build_hook = 1
        numbers: tuple[int, ...] = (
            keep_failed,
            keep_going,
            fallback,
            verbosity,
            jobs,
            silence,
            build_hook,
        )
        numbers += (verbose_build, log_type, trace, cores, int(substitutes))
        return (
            wire.encode_int(Operation.SET_OPTIONS)
            + b"".join(map(wire.encode_int, numbers))
            + wire.encode_mapping(overrides)
        )

    def _about(self, operation: Operation, path: StorePath) -> bytes:
        return wire.encode_int(operation) + wire.encode_text(path.in_dir(self.store_dir))

    def _read_info(self, source: Source, path: StorePath) -> PathInfo:
        wire.decode_text(source)  # deriver
        nar_hash = wire.decode_text(source)
        references = tuple(sorted(self.read_paths(source)))
        wire.decode_int(source)  # registration time
        nar_size = wire.decode_int(source)
        wire.decode_bool(source)  # built here
        wire.decode_texts(source)  # signatures
        wire.decode_text(source)  # content address
        return PathInfo(path, _read_sha256(nar_hash), nar_size, references)


def _read_sha256(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text.removeprefix("sha256:"))
    except ValueError:
        digest = b""
    if len(digest) != 32:  # noqa: PLR2004
        raise ProtocolError(f"the Nix daemon sent `{text}` for a NAR hash", operation="path info")
    return digest

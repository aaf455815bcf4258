"""One connection to a Nix daemon: handshake, requests with their message loop, streaming.

A connection is for one thread at a time. It knows whether both sides are still in step: after an error
that the daemon reported in its place they are; after any other they are not, and it must be closed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from nixlib.daemon import diagnosis, protocol, wire
from nixlib.daemon.channel import ChannelClosedError, ChannelTimeoutError
from nixlib.errors import ProtocolError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from nixlib.daemon.channel import Channel
    from nixlib.daemon.wire import Source
    from nixlib.pathinfo import PathInfo
    from nixlib.storepath import StorePath

    Reply = TypeVar("Reply")

# Measured on Nix 2.8.0: see `benchmarks/`; below 64 KiB system calls cost, above 1 MiB caches do.
FRAME_SIZE = 256 * 1024


class Connection:
    """A connection that has shaken hands.

    Args:
        channel: The line, owned from now on.
        store_dir: The store's logical directory.
        on_log: Called with each line that the daemon wants shown.

    Raises:
        StoreError: The other end is no Nix daemon, is too old, or does not let this user in.
    """

    def __init__(
        self, channel: Channel, store_dir: str, on_log: Callable[[str], None] | None = None
    ) -> None:
        self._channel = channel
        self._on_log = on_log
        self._on_line: Callable[[str], None] | None = None
        self.temp_roots: set[StorePath] = set()
        self._in_step = False
        try:
            self.greeting = self._handshake()
        except BaseException:
            channel.close()
            raise
        self._codec = protocol.Codec(self.greeting.minor, store_dir)

    def _handshake(self) -> protocol.Greeting:
        channel = self._channel
        try:
            channel.send([protocol.hello()])
            minor = protocol.read_hello(channel.read)
            channel.send([protocol.offer_features(minor)] if minor >= 38 else [])  # noqa: PLR2004
            features = protocol.read_features(channel.read, minor)
            channel.send([protocol.post_hello()])
            greeting = protocol.read_greeting(channel.read, minor, features)
            self._finish("open the Nix store", minor)
            self._in_step = True
        except ChannelClosedError as error:
            raise diagnosis.closed_at_once(channel.where, channel.log()) from error
        except ChannelTimeoutError as error:
            raise diagnosis.silent("open the Nix store", channel.where, channel.timeout) from error
        return greeting

    def is_usable(self) -> bool:
        """Whether the next operation may use this connection."""
        return self._in_step and self._channel.is_quiet()

    def close(self) -> None:
        """Hang up. Temporary roots made through this connection end here."""
        self._channel.close()

    def add_to_store(
        self, name: str, references: Collection[StorePath], nar: Iterable[bytes]
    ) -> PathInfo:
        """Stream a NAR into the store; valid when this returns, and not at all when it raises.

        Adding what is valid already succeeds and costs the whole stream.
        """
        return self._add(name, self._codec.add_to_store(name, references), nar)

    def add_text(self, name: str, references: Collection[StorePath], text: bytes) -> PathInfo:
        """Add a text, as Nix adds derivations."""
        method = protocol.TEXT_METHOD
        return self._add(name, self._codec.add_to_store(name, references, method), [text])

    def _add(self, name: str, request: bytes, data: Iterable[bytes]) -> PathInfo:
        action = f"add `{name}` to the Nix store"
        with self._errors(action):
            self._channel.send([request])
            self._send_frames(action, data)
            self._finish(action)
            info = self._codec.read_added(self._channel.read)
        self.temp_roots.add(info.path)  # Nix keeps what it just added while the connection lives.
        return info

    def query_valid_paths(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths` that are valid."""
        request = self._codec.query_valid_paths(paths)
        return self._ask("query the Nix store", request, self._codec.read_paths)

    def query_path_info(self, path: StorePath) -> PathInfo | None:
        """What the store knows of `path`; nothing when it is not valid."""
        return self._ask(
            f"query `{path}`",
            self._codec.query_path_info(path),
            lambda source: self._codec.read_path_info(source, path),
        )

    def add_temp_roots(self, paths: Collection[StorePath]) -> None:
        """Keep `paths`, valid or not, from the collector while this connection lives."""
        wanted = sorted(set(paths) - self.temp_roots)
        # One round trip for all: the daemon answers in order, and its answers fit in any buffer.
        with self._errors("keep store paths from the collector"):
            self._channel.send([self._codec.add_temp_root(path) for path in wanted])
            for path in wanted:
                try:
                    self._finish(f"keep `{path}` from the collector")
                except StoreError:
                    self._in_step = False  # answers to the others are still to come
                    raise
                wire.decode_int(self._channel.read)
        self.temp_roots.update(wanted)

    def add_indirect_root(self, link: str) -> None:
        """Register the symbolic link at `link` as a root of the collector."""
        action = f"register the GC root `{link}`"
        self._ask(action, self._codec.add_indirect_root(link), wire.decode_int)

    def query_substitutable(self, paths: Collection[StorePath]) -> frozenset[StorePath]:
        """Those of `paths`, and of what they need, that the daemon's substituters have."""
        request = self._codec.query_missing(paths)
        return self._ask("ask the substituters", request, self._codec.read_missing)

    def build_paths(self, paths: Collection[StorePath]) -> None:
        """Make `paths` valid by substituting them."""
        self._ask("substitute", self._codec.build_paths(paths), wire.decode_int)

    def build_output(
        self, drv: StorePath, on_line: Callable[[str], None], check: Callable[[], None]
    ) -> None:
        """Build the output of a derivation that is in the store.

        Args:
            drv: The derivation.
            on_line: Called with each line that the builder prints.
            check: Called while nothing comes; what it raises ends the wait. The build ends when the
                connection is closed.

        Raises:
            BuildError: The builder failed.
        """
        self._on_line, self._channel.interrupt = on_line, check
        try:
            self._ask(f"build `{drv}`", self._codec.build_output(drv), wire.decode_int)
        finally:
            self._on_line = self._channel.interrupt = None

    def set_options(
        self, *, jobs: int, overrides: Mapping[str, str], silence: int = 0, substitutes: bool = True
    ) -> None:
        """Change settings for this connection; the daemon ignores what this user may not change."""
        request = self._codec.set_options(
            jobs=jobs, overrides=overrides, silence=silence, substitutes=substitutes
        )
        self._ask("set options", request, lambda _: None)

    def _ask(self, action: str, request: bytes, read: Callable[[Source], Reply]) -> Reply:
        with self._errors(action):
            self._channel.send([request])
            self._finish(action)
            return read(self._channel.read)

    def _send_frames(self, action: str, nar: Iterable[bytes]) -> None:
        try:
            for frame in wire.frames(nar, FRAME_SIZE):
                self._channel.send(frame)
        except ChannelClosedError:
            # The daemon may have said why before it went; if so that is the better error.
            try:
                self._finish(action)
            finally:
                self._in_step = False
            raise

    def _finish(self, action: str, minor: int | None = None) -> None:
        """Read messages until the operation is over."""
        version = self.greeting.minor if minor is None else minor
        while True:
            message = protocol.read_message(self._channel.read, version)
            if isinstance(message, protocol.Done):
                return
            if isinstance(message, protocol.Failure):
                self._in_step = True
                raise diagnosis.operation_failed(action, message)
            if isinstance(message, protocol.Log) and self._on_log is not None:
                self._on_log(message.text)
            if isinstance(message, protocol.BuildLine) and self._on_line is not None:
                self._on_line(message.text)

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        channel = self._channel
        self._in_step = False
        try:
            yield
            self._in_step = True
        except ChannelClosedError as error:
            raise diagnosis.went_away(action, channel.where, channel.log()) from error
        except ChannelTimeoutError as error:
            raise diagnosis.silent(action, channel.where, channel.timeout) from error
        except ProtocolError as error:
            error.details = (*error.details, channel.where)
            raise

"""Binary caches for tests: made from trees, served over loopback, well and ill behaved."""

import bz2
import gzip
import lzma
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from nixlib import nar
from nixlib.sri import sri
from nixlib.storepath import StorePath, fixed_output_path, nix32_encode
from nixlib.tree import Node

PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
}
SUFFIX = {"none": "", "xz": ".xz", "bzip2": ".bz2", "gzip": ".gz", "zstd": ".zst"}


def make_cache(directory: Path) -> None:
    """An empty cache."""
    (directory / "nar").mkdir(parents=True)
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\nWantMassQuery: 1\n")


def put(
    directory: Path,
    name: str,
    tree: Node,
    references: tuple[StorePath, ...] = (),
    *,
    compression: str = "xz",
) -> tuple[StorePath, str]:
    """Put a tree into the cache; its path and the SRI hash of its NAR."""
    data = b"".join(nar.dump(tree))
    sha256, size = nar.nar_hash(tree)
    path = fixed_output_path(name, sha256, references)
    url = f"nar/{nix32_encode(sha256)}.nar{SUFFIX[compression]}"
    (directory / url).write_bytes(PACK[compression](data))
    fields = {
        "StorePath": path.in_dir(),
        "URL": url,
        "Compression": compression,
        "NarHash": f"sha256:{nix32_encode(sha256)}",
        "NarSize": str(size),
        "References": " ".join(map(str, references)),
        "CA": f"fixed:r:sha256:{nix32_encode(sha256)}",
    }
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (directory / f"{path.digest}.narinfo").write_text(text)
    return path, sri(sha256)


@contextmanager
def served(
    directory: Path, before: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
) -> Iterator[tuple[str, list[str]]]:
    """Serve a directory; the URL and the paths asked for.

    Args:
        directory: What is served.
        before: Called first with each request; whether it has answered itself.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if before(self):
                return
            file = directory / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

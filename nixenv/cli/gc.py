"""`nixenv gc`: let go of environments that nobody uses. Deleting them from the store is Nix's own work."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.collection import Rooted, Verdict, judge
from nixenv.environments import claim, forget_root, is_running, recorded_uses
from nixenv.kernel.mail import mail_folder, sweep
from nixenv.notebook.formatting import format_age, format_bytes, format_table
from nixlib.settings import Settings
from nixlib.store import Store, open_store
from nixlib.storepath import StorePath

STORE = "nix/store"


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Judge every environment that this user has rooted, and drop what nobody needs."""
    settings = context.settings
    now = time.time()
    verdicts = judge(
        find_rooted(settings), now=now, older_than=arguments.older_than, exists=Path.exists
    )
    with ExitStack() as stack:
        stores = {
            uri: stack.enter_context(open_store(uri, connections=1))
            for uri in {store_uri_of(one.environment.target) for one in verdicts}
        }
        sizes = Sizes(stores)
        rows = [_row(verdict, sizes, now) for verdict in verdicts]
        freed = sizes.freed(verdicts)
        if not arguments.dry_run:
            for number, verdict in enumerate(verdicts):
                context.cancel.check()
                if verdict.is_dropped and not _drop(verdict, settings, stores):
                    rows[number] |= {"dropped": False, "reason": "a kernel has just started in it"}
    bytecode = _sweep_bytecode(settings, rows, is_dry=arguments.dry_run)
    letters = sweep(mail_folder(os.environ), is_dry=arguments.dry_run)
    return _report(rows, freed, bytecode, letters, is_dry=arguments.dry_run)


def find_rooted(settings: Settings) -> tuple[Rooted, ...]:
    """Every environment that has a link in the state directory, by link name."""
    uses: dict[str, list[Any]] = {}
    for use in recorded_uses(settings.state_dir):
        uses.setdefault(use.root, []).append(use)
    folder = settings.environments_dir
    links = (
        sorted(link for link in folder.iterdir() if link.is_symlink()) if folder.is_dir() else []
    )
    return tuple(
        Rooted(
            root=link.name,
            target=link.readlink(),
            is_there=(link / "bin" / "python").exists(),
            is_running=is_running(settings.state_dir, link.name),
            created=link.lstat().st_mtime,
            uses=tuple(uses.get(link.name, ())),
        )
        for link in links
        # `add_root` keeps helper links of its own beside those that we asked for.
        if "." not in link.name
    )


def store_uri_of(target: Path) -> str | None:
    """The store that a physical path is in: None for this machine's, else the chroot store's folder.

    Examples:
        >>> store_uri_of(Path("/nix/store/x-env")), store_uri_of(Path("/home/me/s/nix/store/x-env"))
        (None, '/home/me/s')
    """
    root = str(target.parent).removesuffix(f"/{STORE}")
    return root or None


class Sizes:
    """Bytes of environments with all that they need, asked of the store once for each object."""

    def __init__(self, stores: Mapping[str | None, Store]) -> None:
        self._stores = stores
        self._known: dict[Path, tuple[int, tuple[Path, ...]]] = {}

    def closure(self, target: Path) -> dict[Path, int]:
        """Every store object that `target` needs, itself included, with its bytes."""
        store = self._stores[store_uri_of(target)]
        found: dict[Path, int] = {}
        waiting = [target]
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found[place], references = self._ask(store, place)
            waiting += references
        return found

    def _ask(self, store: Store, place: Path) -> tuple[int, tuple[Path, ...]]:
        if place not in self._known:
            info = store.query_path_info(StorePath.parse(place.name))
            references = tuple(place.parent / str(path) for path in info.references) if info else ()
            self._known[place] = (info.nar_size if info else 0, references)
        return self._known[place]

    def freed(self, verdicts: Iterable[Verdict]) -> int:
        """Bytes that only dropped environments need."""
        dropped: dict[Path, int] = {}
        kept: set[Path] = set()
        for verdict in verdicts:
            if not verdict.environment.is_there:
                continue
            objects = self.closure(verdict.environment.target)
            if verdict.is_dropped:
                dropped |= objects
            else:
                kept |= objects.keys()
        return sum(size for place, size in dropped.items() if place not in kept)


def _row(verdict: Verdict, sizes: Sizes, now: float) -> dict[str, Any]:
    one = verdict.environment
    size = sum(sizes.closure(one.target).values()) if one.is_there else 0
    return {
        "environment": str(one.target),
        "root": one.root,
        "bytes": size,
        "notebooks": [str(use.notebook) for use in one.uses],
        "last_used": round(one.last_used),
        "unused_seconds": max(0, round(now - one.last_used)),
        "dropped": verdict.is_dropped,
        "reason": verdict.reason,
    }


def _drop(verdict: Verdict, settings: Settings, stores: Mapping[str | None, Store]) -> bool:
    """Remove the root and what is known of its uses; False when somebody was faster."""
    one = verdict.environment
    with claim(settings.state_dir, one.root) as is_ours:
        if is_ours:
            store: Any = stores[store_uri_of(one.target)]
            store.remove_root(settings.environments_dir / one.root)
            forget_root(settings.state_dir, one.root)
    return is_ours


def _sweep_bytecode(settings: Settings, rows: list[dict[str, Any]], *, is_dry: bool) -> int:
    """Bytes of bytecode that no kept environment needs; removed unless `is_dry`."""
    from nixlib.composition import bytecode  # noqa: PLC0415

    live = [Path(row["environment"]) for row in rows if not row["dropped"]]
    return bytecode.sweep(settings.cache_dir, live, dry_run=is_dry)


def _report(
    rows: list[dict[str, Any]], freed: int, bytecode: int, letters: int, *, is_dry: bool
) -> Report:
    dropped = [row for row in rows if row["dropped"]]
    verb = "would drop" if is_dry else "dropped"
    table = [
        (
            (verb if row["dropped"] else "keeps"),
            format_bytes(row["bytes"]),
            format_age(row["unused_seconds"]),
            Path(row["environment"]).name,
            row["reason"],
        )
        for row in rows
    ]
    text = [format_table(table)] * bool(table)
    text.append(
        f"{verb} {len(dropped)} of {len(rows)} environments and {format_bytes(bytecode)} of bytecode"
    )
    if letters:
        text.append(
            f"{verb} {letters} {'file' if letters == 1 else 'files'} of processes that are gone"
        )
    if dropped and not is_dry:
        command = collect_command(Path(dropped[0]["environment"]))
        text.append(f"`{command}` now frees {format_bytes(freed)} that nothing else needs")
    result = {
        "environments": rows,
        "dropped": len(dropped),
        "bytes": freed,
        "bytecode_bytes": bytecode,
        "letters": letters,
        "dry_run": is_dry,
    }
    return Report(result, "\n".join(text), is_answer=is_dry)


def collect_command(target: Path) -> str:
    """Nix's own command that deletes what nothing keeps, for the store of `target`."""
    root = store_uri_of(target) or os.environ.get("NIX_REMOTE", "")
    return f"NIX_REMOTE='{root}' nix-store --gc" if root else "nix-collect-garbage"

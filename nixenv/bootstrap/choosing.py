"""From what is known about a kernel's notebook to the kernel that starts for it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.bootstrap.again import FOLLOW
from nixenv.bootstrap.arguments import Arguments
from nixenv.bootstrap.folder import only_notebook
from nixenv.bootstrap.follow import Following, ServerGoneError
from nixenv.bootstrap.start import (
    Launch,
    Wish,
    attached_engine,
    fallback_kernel,
    find_wish,
    is_only_project,
    own_place,
    real_kernel,
)
from nixenv.errors import NotebookNotFoundError, stopped
from nixenv.kernel.mail import remove_letter
from nixenv.notebook.notebookpath import OVERRIDE, Place, find_project
from nixenv.progress_lines import PlainLines
from nixenv.server.launch import Target
from nixenv.server.opening import Opened, open_environment
from nixenv.server.reason import Reason, reason_of
from nixlib.progress import Event, EventSink


@dataclass(frozen=True, slots=True)
class Choice:
    """What to start.

    Attributes:
        launch: The kernel.
        reason: The file with what a fallback kernel reports; None for a real kernel.
    """

    launch: Launch
    reason: Path | None = None


class FailedError(Exception):
    """There is no environment; carries why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Chooser:
    """Finds the notebook, then its environment; both may take as long as they take.

    Attributes:
        target: What the kernel's `%nixenv` works on, as far as it is known.
        is_waiting: The notebook is unknown, and requests will tell.
    """

    def __init__(
        self,
        arguments: Arguments,
        connection_file: Path,
        environ: Mapping[str, str],
        on_event: EventSink,
        on_wish: Callable[[Wish], None],
    ) -> None:
        """Look at once, but do nothing before `choose`.

        Args:
            arguments: This kernel's own.
            connection_file: That of the kernel which is chosen.
            environ: This process's variables.
            on_event: Told what a build does.
            on_wish: Told which document it is for, when that is known.
        """
        self.target = Target(None)
        self._arguments = arguments
        self._connection_file = str(connection_file)
        self._environ = environ
        self._on_event = on_event
        self._on_wish = on_wish
        self._place = own_place(environ)
        self._told: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._work: asyncio.Task[Opened] | None = None
        self._is_stopped = False
        self.is_waiting = FOLLOW not in environ and _is_unknown(self._place, arguments)

    def tell(self, candidates: tuple[str, ...]) -> None:
        """A client has said where the notebook is, or with an empty tuple that it never will."""
        if not self._told.done():
            self._told.set_result(candidates)

    def stop(self) -> bool:
        """Stop the build on request; False when nothing is being built."""
        if self._work is None or self._work.done():
            return False
        self._is_stopped = True
        self._work.cancel()
        return True

    async def choose(self) -> Choice:
        """The kernel to start; the fallback kernel where there is no environment.

        Cancelling it stops the build, and returns when that is gone.
        """
        try:
            following = await self._follow()
            wish = await following.wish() if following else await self._find()
            self.target = wish.target
            self._on_wish(wish)
            opened = await self._open(wish, following)
        except FailedError as error:
            return self.fall_back(error.reason)
        except Exception as error:  # noqa: BLE001 - the top of this room: the client must get a kernel
            return self.fall_back(reason_of(error))
        launch = real_kernel(
            opened, wish.target, self._connection_file, self._arguments.extra, self._environ
        )
        return Choice(launch)

    def fall_back(self, reason: Reason) -> Choice:
        """The kernel that only says why."""
        print(f"nixenv: {reason.text}", file=sys.stderr, flush=True)  # noqa: T201 - the client's log
        file = reason.save()
        launch = fallback_kernel(file, self.target, self._connection_file, self._environ)
        return Choice(launch, file)

    async def _follow(self) -> Following | None:
        if FOLLOW not in self._environ:
            return None
        return await Following.open(int(self._environ[FOLLOW]))

    async def _find(self) -> Wish:
        if not self.is_waiting:
            return await asyncio.to_thread(find_wish, self._place)
        told = await self._told
        return await asyncio.to_thread(_find_told, told, self._place)

    async def _open(self, wish: Wish, following: Following | None) -> Opened:
        self._work = asyncio.ensure_future(
            self._build(wish) if following is None else self._await(wish, following)
        )
        try:
            return await self._work
        except asyncio.CancelledError:
            if self._is_stopped:
                raise stopped() from None
            self._work.cancel()
            await asyncio.wait({self._work})
            raise

    async def _await(self, wish: Wish, following: Following) -> Opened:
        """The environment that a server builds; built here after all when the server goes away."""
        try:
            reason = await following.outcome(self._on_event)
        except ServerGoneError:
            reason = None
        except asyncio.CancelledError:
            following.cancel()
            raise
        finally:
            following.close()
        if reason is not None:
            raise FailedError(reason)
        return await self._build(wish)

    async def _build(self, wish: Wish) -> Opened:
        lines = PlainLines(sys.stderr, time.monotonic)

        def listen(event: Event) -> None:
            self._on_event(event)
            lines(event)

        return await open_environment(
            wish.document,
            user=wish.user,
            process_env=self._environ,
            on_event=listen,
            engine=attached_engine(),
        )


def forget(choice: Choice) -> None:
    """The kernel has ended: nobody needs what was written for it."""
    if choice.reason is not None:
        remove_letter(str(choice.reason))


def python_of(wish: Wish) -> str:
    """The Python version that the environment will have; empty when its document does not say."""
    spec = wish.document.spec
    found: Any = spec if isinstance(spec, dict) else {}
    lock = found.get("lock")
    interpreter = lock.get("interpreter") if isinstance(lock, dict) else None
    exact = interpreter.get("version") if isinstance(interpreter, dict) else None
    return next((one for one in (exact, found.get("python")) if isinstance(one, str)), "")


def _is_unknown(place: Place, arguments: Arguments) -> bool:
    """Whether only requests can tell which notebook it is."""
    try:
        return is_only_project(place) and arguments.tells_path
    except NotebookNotFoundError:
        return True
    except Exception:  # noqa: BLE001 - whatever it is, it is said when the document is read
        return False


def _find_told(candidates: tuple[str, ...], place: Place) -> Wish:
    """The document that a client has told, or that is the only one where it has told nothing.

    Raises:
        NotebookNotFoundError: What was told is no notebook on this machine, or there are several, or none.
        MetadataError: It cannot be read.
    """
    for path in candidates:
        if path.endswith(".ipynb") and Path(path).is_file():
            return find_wish(_naming(place, Path(path)))
    if not candidates:
        if find_project(place.cwd) is None and (notebook := only_notebook(place.cwd)):
            return find_wish(_naming(place, notebook))
        return find_wish(place)
    # An interactive window is of a script, a new notebook of no file: both are of their project.
    told = Path(candidates[0])
    if project := find_project(told.parent if told.is_absolute() else place.cwd):
        return find_wish(_naming(place, project))
    raise NotebookNotFoundError(
        f"the client says `{told}`, and that is not a notebook on this machine",
        hint="save the notebook, then restart the kernel",
        tried=(str(told),),
    )


def _naming(place: Place, path: Path) -> Place:
    return Place(cwd=place.cwd, said={OVERRIDE: str(path)}, inherited={})

"""A notebook run without a front end: nbclient, our kernel, and signals that stop both."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, TextIO

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from nixenv.kernelspec import NAME, kernel_json


class Headless(NotebookClient):
    """nbclient, which leaves signals alone.

    It takes SIGINT and SIGTERM for itself when it starts a kernel, and then reports a kernel that died.
    """

    is_stopped = False

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        """Take the signals back: nbclient has set its own handlers just before it calls this."""
        self.take_signals()
        await super().async_start_new_kernel(**kwargs)

    def take_signals(self) -> None:
        """Let both signals cancel the task that executes the notebook."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this runs in one

        def stop() -> None:
            self.is_stopped = True
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)


async def execute(notebook: Any, resources: dict[str, Any], log: TextIO, **options: Any) -> None:
    """Run every cell of `notebook` in place; its kernel is gone when this ends, however it ends.

    Args:
        notebook: An nbformat node whose metadata carries spec and lock.
        resources: Name and folder of the notebook, as nbclient takes them.
        log: Gets what the kernel's process itself writes, apart from what its cells do.
        **options: Traits of `NotebookClient`.

    Raises:
        KeyboardInterrupt: SIGINT or SIGTERM came.
        CellExecutionError: A cell failed.
        CellTimeoutError: A cell took too long.
        DeadKernelError: The kernel died.
    """
    manager = AsyncKernelManager(kernel_name=NAME)
    # Ours, whether the kernelspec is installed or not; jupyter_client has no public way to say so.
    manager._kernel_spec = KernelSpec(**kernel_json())  # noqa: SLF001
    client = Headless(notebook, kernel_name=NAME, km=manager, resources=resources, **options)
    # A task of its own: a signal ends the run of the notebook, and the clean-up below still awaits.
    running = asyncio.ensure_future(client.async_execute(cleanup_kc=True, stderr=log))
    try:
        await running
    except (asyncio.CancelledError, DeadKernelError):
        # nbclient takes a cancellation in the middle of a cell for the kernel's death.
        if client.is_stopped:
            raise KeyboardInterrupt from None
        raise
    finally:
        # nbclient cleans up only after a start that succeeded.
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)

"""Kernels as Jupyter starts them: through `jupyter_client`, timed from the start to `kernel_info_reply`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from benchmarks.workplace import Workplace


@dataclass
class Kernel:
    """A running kernel and its connected client."""

    manager: AsyncKernelManager
    client: AsyncKernelClient

    async def run(self, code: str, value: str = "None") -> str:
        """Run a cell, and give the text of the expression `value` after it.

        Only the reply is waited for: what a kernel publishes before its client has subscribed is lost.

        Raises:
            RuntimeError: The cell failed.
        """
        request = self.client.execute(code, user_expressions={"value": value})
        while True:
            reply = await self.client.get_shell_msg(timeout=600)
            if reply["parent_header"]["msg_id"] == request:
                break
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"].get("traceback", [])))
        text: str = reply["content"]["user_expressions"]["value"]["data"]["text/plain"]
        return text

    async def ready(self) -> None:
        """Wait for the answer to a `kernel_info_request`."""
        self.client.kernel_info()
        await self.client.get_shell_msg(timeout=600)

    async def stop(self) -> None:
        """Shut it down, and wait until it is gone; a second time does nothing."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            await self.manager.shutdown_kernel(now=True)


@asynccontextmanager
async def started(
    place: Workplace, kernelspec: str, notebook: Path
) -> AsyncIterator[tuple[Kernel, float]]:
    """A kernel for a notebook, started as a server does, and the seconds until it answered."""
    specs = KernelSpecManager(kernel_dirs=[str(place.root / "kernels")], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name=kernelspec, kernel_spec_manager=specs)
    begin = time.perf_counter()
    await manager.start_kernel(
        env=place.env | {"JPY_SESSION_NAME": str(notebook)}, cwd=str(place.root)
    )
    client = manager.client()
    client.start_channels()
    kernel = Kernel(manager, client)
    try:
        await kernel.ready()
        yield kernel, time.perf_counter() - begin
    finally:
        await kernel.stop()


def kernelspecs(place: Workplace, venv: Path) -> None:
    """Write the two kernelspecs: ours, and the plain one of a uv venv."""
    ours = json.loads((Path(__file__).parents[1] / "kernelspec" / "kernel.json").read_text())
    plain = {
        "argv": [
            str(venv / "bin" / "python"),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ],
        "display_name": "plain",
        "language": "python",
    }
    for name, spec in {"nixenv": ours, "plain": plain}.items():
        folder = place.root / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.json").write_text(json.dumps(spec))


def wait(work: Callable[[], Awaitable[float]]) -> float:
    """Run one asynchronous measurement to its end."""

    async def whole() -> float:
        return await work()

    return asyncio.run(whole())

"""The bootstrap kernel with another way of choosing: a kernel of this very Python, when the test says so.

Everything else is the real thing: the process, its sockets, the hand-over, the relay. The test writes a
line to standard input: `go` starts the kernel, `die` a program that ends at once, `hang` one that never
answers. Then `fallback` is what is started when that has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from nixenv.bootstrap import choosing, main
from nixenv.bootstrap.arguments import parse_arguments
from nixenv.bootstrap.choosing import Choice
from nixenv.bootstrap.start import Launch
from nixenv.errors import stopped
from nixenv.server.reason import Reason, reason_of

SAYING_WHY = """
import os, sys
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
class Kernel(IPythonKernel):
    async def do_execute(self, code, silent, *args, **more):
        return await super().do_execute(f"raise RuntimeError({os.environ['WHY']!r})", silent)
IPKernelApp.launch_instance(kernel_class=Kernel)
"""

PROGRAMS = {
    "go": ("-m", "ipykernel_launcher"),
    "die": ("-c", "import sys; sys.exit('no module named nowhere')"),
    "hang": ("-c", "import time; time.sleep(600)"),
    "fallback": ("-c", SAYING_WHY),
}


class ToldChooser(choosing.Chooser):
    """Chooses what standard input says."""

    def __init__(self, arguments, connection_file, environ, *sinks) -> None:
        super().__init__(arguments, connection_file, environ, *sinks)
        self.is_waiting = "VSCODE" in os.environ
        self._line: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def choose(self) -> Choice:
        loop = asyncio.get_running_loop()
        loop.add_reader(0, self._read)
        try:
            return self._kernel(await self._line)
        except Exception as error:
            return self.fall_back(reason_of(error))
        finally:
            loop.remove_reader(0)

    def stop(self) -> bool:
        if self._line.done():
            return False
        self._line.set_exception(stopped())
        return True

    def fall_back(self, reason: Reason) -> Choice:
        choice = self._kernel(os.environ.get("FALLBACK", "fallback"), WHY=reason.text)
        return Choice(choice.launch, Path("/nowhere"))

    def _kernel(self, name: str, **variables: str) -> Choice:
        argv = (sys.executable, *PROGRAMS[name], "-f", self._connection_file)
        return Choice(Launch(argv, {**os.environ, **variables}))

    def _read(self) -> None:
        line = sys.stdin.readline().strip()
        if line and not self._line.done():
            self._line.set_result(line)


if __name__ == "__main__":
    choosing.Chooser = ToldChooser
    main.stand_in(parse_arguments(sys.argv[1:]), dict(os.environ))

"""Start an IPython kernel that has `%nixenv`: what the environment's own Python runs.

`<environment>/bin/python -X pycache_prefix=… …/nixenv/kernel/launcher.py -f <connection file>` does what
`python -m ipykernel_launcher` does, and makes the folder that this file is in importable as `nixenv`,
in this process only: nothing else of the installation that it comes from gets onto `sys.path`, and no
child process sees it. Runs on every Python that a notebook can ask for, from 3.8 on.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))

# What `nixenv.server.launch` sets for one kernel: which notebook, and how its engine is reached.
OF_THIS_START = (
    "NIXENV_DOCUMENT",
    "NIXENV_NOTEBOOK",
    "NIXENV_WRITER",
    "NIXENV_MAILBOX",
    "NIXENV_ENGINE",
    "NIXENV_ENVIRONMENT",
    "NIXENV_TRAITS",
    "NIXENV_REMARKS",
    "NIXENV_PRIVATE_GROUPS",
)


class KernelSideFinder:
    """Finds `nixenv`, and nothing else, in this folder.

    A finder rather than a finished module, so that `%reload_ext nixenv` and `importlib.reload` work.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of `nixenv`; None for every other module, whose finders come next."""
        del path, target
        if name != "nixenv":
            return None
        from importlib.util import spec_from_file_location  # noqa: PLC0415

        return spec_from_file_location(
            name, os.path.join(FOLDER, "__init__.py"), submodule_search_locations=[FOLDER]
        )


def take_variables() -> dict[str, str]:
    """Remove what was said for this start only from the process environment, and return it.

    Children of the kernel (another Jupyter, `!nixenv`) must not take this notebook for theirs. What a
    user configures (`NIXENV_CACHE_DIR`, `NIXENV_STORE`, …) stays, because it is meant for them, too.
    """
    return {name: os.environ.pop(name) for name in OF_THIS_START if name in os.environ}


def leave_script_folder() -> None:
    """Drop from `sys.path` the folder of this script, which Python puts first.

    Its modules would otherwise shadow the notebook's. `InteractiveShellApp.init_path` adds the working
    directory later, as it does under `-m ipykernel_launcher`.
    """
    if sys.path and os.path.abspath(sys.path[0] or ".") == FOLDER:
        del sys.path[0]


def drop_frame_cleaner() -> None:
    """Drop ipykernel's callback for the garbage collector where it can stop the kernel for ever.

    It asks for every thread, which takes the lock of `threading`. Before Python 3.10 that lock may not be
    reentrant (bpo-44422): a collection that begins while it is held, above all in the child of a fork,
    waits for itself, and so does a cell with `!command`. What it cleans is one small entry for a thread.
    """
    if sys.version_info < (3, 10):
        name = "_clean_thread_parent_frames"
        gc.callbacks[:] = [call for call in gc.callbacks if getattr(call, "__name__", "") != name]


def main() -> None:
    """Run the kernel until it is shut down."""
    leave_script_folder()
    sys.meta_path.insert(0, KernelSideFinder)
    from ipykernel import kernelapp  # noqa: PLC0415

    kernel_side = importlib.import_module("nixenv")
    kernel_side.start_session(take_variables())

    class IPKernelApp(kernelapp.IPKernelApp):
        """ipykernel's application under its own name: the user's configuration applies to it."""

        def init_kernel(self) -> None:
            super().init_kernel()  # type: ignore[no-untyped-call]
            drop_frame_cleaner()

        def init_extensions(self) -> None:
            """Load ours before the user's, so that their startup files can use `%nixenv`."""
            try:
                kernel_side.load_ipython_extension(self.shell)
            except Exception:
                self.log.exception("nixenv: the extension could not be loaded")
            super().init_extensions()  # type: ignore[no-untyped-call]

    # Some libraries look at argv[0] to learn whether they run in a kernel.
    site_packages = os.path.dirname(os.path.dirname(kernelapp.__file__))
    sys.argv[0] = os.path.join(site_packages, "ipykernel_launcher.py")
    # PYTHONSTARTUP is the user's for their own Pythons; a notebook must not depend on it.
    IPKernelApp.launch_instance(exec_PYTHONSTARTUP=False)


if __name__ == "__main__":
    main()

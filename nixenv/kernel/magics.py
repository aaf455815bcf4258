"""`%nixenv` and `%%nixenv`, as IPython knows them; what they do is imported when they are used."""

from __future__ import annotations

from . import comms, launched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

# IPython's magics that would change an environment; in ours they say how that is done.
INSTALLERS = ("pip", "conda", "mamba", "micromamba", "uv")

# The `?` help of the magic: usage first, as IPython's own magics do.
HELP = """\
Usage: %nixenv VERB [ARGUMENTS]

  %nixenv add pandas==1.5 "seaborn >=0.12"     add requirements; importable in the next cell
  %nixenv remove seaborn                       remove requirements
  %nixenv add --private old pandas==2.0.3      give a private group its own packages: see %%private?
       [--process] [--for NAME] [--singleton NAME] [--python X.Y]
  %nixenv remove --private old [NAME ...]      take lines from it, or the whole group
  %nixenv list                                 every package of the environment
  %nixenv tree [--why NAME]                    which package needs which
  %nixenv status                               what the notebook asks for, what this kernel runs in
  %nixenv lock [--upgrade [NAME ...]] [--as-of DATE] [--python X.Y] [--variant NAME=CHOICE]
                                               resolve the requirements again
  %nixenv sync                                 bring this kernel to what the notebook says

As a cell magic, one requirement a line, without quotes:

  %%nixenv add
  pandas ==1.5
  tomli; python_version < "3.11"

The requirements and their lock are part of the notebook; whoever opens it gets the same environment.
`add`, `remove` and `sync` extend the running kernel unless a loaded module would change its version;
then they say which, and a restart picks the new environment up. Interrupting the kernel stops them.
"""


def register(shell: Any) -> None:
    """Make the magics known to `shell`; a second time changes nothing."""
    if "nixenv" in shell.magics_manager.magics["line"]:
        return

    def nixenv(line: str, cell: str | None = None) -> None:
        from .dispatch import run_cell, run_line  # noqa: PLC0415

        if cell is None:
            run_line(shell, line)
        else:
            run_cell(shell, line, cell)

    nixenv.__doc__ = HELP
    shell.register_magic_function(nixenv, magic_kind="line_cell", magic_name="nixenv")

    def complete_command(_shell: Any, event: Any) -> list[str]:
        from .completion import completer  # noqa: PLC0415

        return completer(shell, event)

    comms.listen(shell)
    for key in ("%nixenv", "%%nixenv"):
        shell.set_hook("complete_command", complete_command, str_key=key)
    if launched.variables() is not None:
        for name in INSTALLERS:
            shell.register_magic_function(_redirected(name), magic_kind="line", magic_name=name)


def _redirected(name: str) -> Callable[[str], None]:
    """The line magic that stands for IPython's own `%<name>`."""

    def magic(line: str) -> None:
        from .redirects import answer  # noqa: PLC0415

        answer(name, line)

    magic.__doc__ = (
        f"Usage: %{name} list | freeze | show NAME\n\n"
        "Asks about this notebook's environment. To change it, use %nixenv add and %nixenv remove."
    )
    return magic


def unregister(shell: Any) -> None:
    """Take `%nixenv` away, and bring IPython's own `%pip` and its like back."""
    comms.stop_listening(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("nixenv", None)
    from IPython.core.magics.packaging import PackagingMagics  # noqa: PLC0415

    shell.register_magics(PackagingMagics)

"""Lets every Python of an environment, and not only a notebook's kernel, use the user's bytecode.

A store object cannot hold `.pyc` files that Python writes, so they are in the user's cache, in a folder
that mirrors the environment. A kernel is told where by `-X pycache_prefix`; its children are not
(`multiprocessing`, `subprocess`, `!python`), and would read every module's source again, three times
the cost of an import. A variable would tell them, and each other Python they start as well. So this
module, imported by a `.pth` file when any Python of this environment starts, looks whether the folder is
there: two calls of `stat`. It must be this user's own and nobody else's to write.
"""

import os
import sys


def bytecode_folder() -> "str | None":
    """The folder for `sys.pycache_prefix`, or None where there is none for this environment."""
    cache = os.environ.get("NIXENV_CACHE_DIR", "")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME", "")
        home = home if os.path.isabs(home) else os.path.expanduser("~/.cache")
        cache = os.path.join(home, "nixenv")
    folder = os.path.join(os.path.abspath(cache), "bytecode", "prefix")
    try:
        facts = os.lstat(folder)
        os.stat(folder + sys.prefix + "/.complete")
    except (OSError, ValueError):
        return None
    # Whoever can write bytecode decides what is executed: `sudo python` keeps another user's HOME.
    own = facts.st_uid == os.getuid() and not facts.st_mode & 0o022
    return folder if own else None


def settle() -> None:
    """Decide where bytecode goes. Repeatable: `site` reads a virtual environment's `.pth` files twice.

    The `.pth` file forbids to write bytecode first, so that this very module's is not written beside it.
    """
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    if sys.pycache_prefix is None:
        sys.pycache_prefix = bytecode_folder()
    # Root may write anywhere, and Python would: into store objects, whose names prove their content.
    if sys.pycache_prefix is None and os.access(sys.prefix, os.W_OK):
        sys.dont_write_bytecode = True

"""The `pip` of an environment that did not ask for pip: it lists, and says how packages are added.

`python -m pip`, `%pip` and programs that do `import pip` find it. The real one would try to write into a
store object that other environments share.
"""

import sys

from _nixenv_commands import __version__  # type: ignore[import-not-found]
from _nixenv_commands import pip as main

__all__ = ["__version__", "main"]

if __name__ == "__main__":
    sys.exit(main())

"""nixenv in a process that a kernel started: the kernel's modules, for pickles of private objects.

Other Pythons see this folder, too, for it is in a variable that children inherit. Where nixenv itself is
installed, as behind `!nixenv`, that is what this module becomes.
"""

import os
import sys
from importlib.machinery import PathFinder

_folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_kernel = os.path.dirname(os.path.dirname(_folder))
_installed = PathFinder.find_spec(
    "nixenv", [entry for entry in sys.path if os.path.abspath(entry) != _folder]
)
if _installed is None or _installed.loader is None:
    __path__ = [_kernel]
else:
    __file__ = _installed.origin or __file__
    __path__ = [*(_installed.submodule_search_locations or ()), _kernel]
    _installed.loader.exec_module(sys.modules[__name__])

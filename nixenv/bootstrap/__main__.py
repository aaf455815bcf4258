"""`python -m nixenv.bootstrap -f FILE`."""

import sys

if sys.path and not getattr(sys.flags, "safe_path", False):
    # `-m` puts the working directory first: a `random.py` beside the notebook is not ours to import.
    del sys.path[0]

from nixenv.bootstrap.main import main

main()

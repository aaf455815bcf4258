"""`python -m nixenv`: the command line, also for the server and the kernel, which start it as a process."""

import gc
import os
import sys

# A command lives for a second or two: looking for garbage after each 700 objects costs 10 ms of imports.
gc.set_threshold(100_000)

from nixenv.cli import main  # noqa: E402

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Whoever waits for us need not wait until Python has taken 300 modules apart, 30 to 50 ms.
    os._exit(code)

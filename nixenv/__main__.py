"""`python -m nixenv`: the command line, also for the server and the kernel, which start it as a process."""

import sys

from nixenv.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m tracker`: run the command line and leave with its exit code."""

import sys

from tracker.cli import main

if __name__ == "__main__":
    sys.exit(main())

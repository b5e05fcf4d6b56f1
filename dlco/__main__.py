"""`python -m dlco` is `dlco`."""

import sys

from dlco.cli import main

if __name__ == "__main__":
    sys.exit(main())

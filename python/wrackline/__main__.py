"""``python -m wrackline``: the command, see `wrackline.cli`."""

import sys

from wrackline.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

"""``python -m precept``."""

from precept.cli import main

main()

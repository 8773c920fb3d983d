"""`python -m pondctl` is the same program as `pondctl`."""

from pondctl.cli import main

main()

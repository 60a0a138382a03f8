"""`python -m milpass` is the command."""

from milpass.cli import main

main(prog_name="milpass")

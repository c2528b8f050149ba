"""`python -m newsletter`: the command, also where its script is not at hand."""

from newsletter.cli import main

main()

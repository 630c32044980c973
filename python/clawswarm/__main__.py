"""`python -m clawswarm` is the command `claw`."""

from clawswarm.console.cli import main

main()

"""`python -m kitepilot`: the same command line as `kitepilot`."""

from kitepilot.cli.main import main

if __name__ == "__main__":
    main()

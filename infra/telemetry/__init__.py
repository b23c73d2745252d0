"""What leaves the machine for those who watch it: traces, lines of log, failures. Off by default."""

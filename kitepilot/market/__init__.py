"""Instruments, ticks, bars and the dated session table."""

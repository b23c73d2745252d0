"""The console: what is so, and two buttons that stop it. No build step, no foreign host."""

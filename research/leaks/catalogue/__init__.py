"""Known leaks, each small and named, and honest things that must pass: the gate is held to both."""

"""Research work in processes of its own: what is asked of them, the pipe to one, and the shelf of jobs."""

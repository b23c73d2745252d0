"""An outcome as a page and as JSON."""

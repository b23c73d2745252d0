"""What fits a model: labelled rows and parameters in, an artifact out."""

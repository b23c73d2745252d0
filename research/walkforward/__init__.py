"""Walk-forward training: each fold learns from earlier sessions alone and is measured on later ones."""

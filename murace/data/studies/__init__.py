"""Finding the studies in files and folders."""

"""Ingest: decode all images of a source into the workspace, in worker processes, chunk by chunk."""

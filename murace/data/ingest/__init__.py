"""Reading a whole source into the workspace: worker processes, chunks, and the pixel file."""

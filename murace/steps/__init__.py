"""What each command does: the only place where the workspace meets mathematics. Steps meet on disk."""

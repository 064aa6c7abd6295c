"""Studies with the map of their group's member over every view: what is drawn, and in which folder.

Pictures, maps and paths come in; nothing here knows a workspace.
"""

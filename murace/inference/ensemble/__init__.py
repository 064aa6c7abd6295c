"""The specialised ensemble: a member for each group, how its probability is read out, and who recognises groups.

`from_workspace` opens a workspace's, `from_file` the one of a file that was handed over.
"""

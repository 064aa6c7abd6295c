"""The commands: one file each, which parses and hands over to the step."""

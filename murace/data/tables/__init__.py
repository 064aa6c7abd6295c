"""Csv files from outside: reading and validation."""

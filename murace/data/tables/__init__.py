"""The csv tables: reading, checking, writing."""

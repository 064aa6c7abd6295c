"""Inference: trained nets asked about studies, combined into an ensemble."""

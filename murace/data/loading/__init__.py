"""Batches of images for a net: loading, streaming, augmentation."""

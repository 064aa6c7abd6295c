"""DICOM radiographs: reading, decoding, and the display chain from stored values to grey levels."""

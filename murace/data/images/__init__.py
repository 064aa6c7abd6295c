"""Image files: headers, decoding, resizing, fingerprints."""

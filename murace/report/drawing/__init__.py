"""Drawing primitives: SVG, contact sheets, thumbnails of training images."""

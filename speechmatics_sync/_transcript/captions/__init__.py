"""Captions: what was said, in portions that can be read while it is heard."""

"""What the tests of `_audio` share."""

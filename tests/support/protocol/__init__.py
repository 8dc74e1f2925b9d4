"""What the tests of `_protocol` share."""

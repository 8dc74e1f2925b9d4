"""What the tests of `_transport` share."""

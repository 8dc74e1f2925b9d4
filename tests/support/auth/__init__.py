"""What the tests of `_auth` share."""

"""What the tests of `speechmatics_sync.legacy` share."""

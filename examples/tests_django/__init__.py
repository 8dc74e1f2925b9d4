"""Tests of a Django application: ``cd examples; python -m pytest --pyargs tests_django``."""

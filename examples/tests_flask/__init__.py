"""Tests of a Flask application: ``cd examples; python -m pytest --pyargs tests_flask``."""

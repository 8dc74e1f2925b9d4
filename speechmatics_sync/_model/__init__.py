"""Plain values: configuration, messages and results.

Knows no other room: only ``errors``, and ``_numbers``, which says what a number is.
"""

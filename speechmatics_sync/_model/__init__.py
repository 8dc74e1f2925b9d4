"""Plain values: configuration, messages, results and transcripts.

Knows no other room: only ``errors``, and ``_numbers``, which says what a number is.
"""

"""How transcripts and live lines are shown: in a notebook's cell, in a terminal, as plain text.

Nothing here is needed by a session, and nothing that is raised here may end one.
"""

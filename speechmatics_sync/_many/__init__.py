"""Many sources, a session for each: in threads, in processes, on other machines.

Knows clients, their arguments and their errors; knows nothing of what a session is made of.
"""

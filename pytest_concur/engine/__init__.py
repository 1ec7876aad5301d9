"""One run of a test body under control: tasks on real threads, one running at a time, real locks that are only delayed.

Knows schedulers by their protocol and code by what the hooks hand in; knows nothing of pytest or of search.
"""

"""How code is instrumented: which instructions get a scheduling point, how they are rewritten, where and when.

Knows code objects and names; knows nothing of tasks, schedules or tests. What the inserted calls do is handed in.
"""

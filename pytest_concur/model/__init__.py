"""Pure data: what happened and what was decided. Imports nothing of ours."""

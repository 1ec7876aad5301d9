"""Many runs of one body: sequential references, search, minimization, explanation. Knows nothing of pytest."""

"""The report of a training: how it went, what the detector finds, and what it takes for what."""

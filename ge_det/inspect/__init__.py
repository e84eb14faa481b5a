"""Looking inside: what the gates of a trained network do, as numbers and pictures."""

"""What the gates do and what they cost."""

"""What exported files give beside PyTorch, for every block."""

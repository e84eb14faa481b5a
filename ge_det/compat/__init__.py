"""What makes the libraries around us work on the machines of today."""

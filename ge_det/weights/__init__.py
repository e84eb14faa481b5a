"""Where pretrained weights come from and how they reach a backbone."""

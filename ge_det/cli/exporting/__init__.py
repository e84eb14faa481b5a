"""What `ge-det export` is made of: the graph, its pictures, its check and what is told."""

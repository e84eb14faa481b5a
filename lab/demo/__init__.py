"""What a gate is for: a detector that cannot see the marks, before and after SE is attached."""

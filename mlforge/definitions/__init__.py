"""What users declare, as values without I/O."""

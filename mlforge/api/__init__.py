"""What users type in Python: sugar ends here."""

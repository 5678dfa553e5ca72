"""The verbs: one a file; they take exact values, return values, and print nothing."""

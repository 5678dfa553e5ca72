"""The command line: a command parses, calls one method, and renders."""

"""History: commits, refs and index of the user's own git repository. The home of dulwich."""

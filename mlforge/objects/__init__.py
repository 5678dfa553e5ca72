"""Where bytes live: immutable objects named by the BLAKE3 of their bytes."""

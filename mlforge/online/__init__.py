"""Where rows are served from: packed rows of the head versions, and which versions those are."""

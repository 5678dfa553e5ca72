"""Where rows are computed: one file an engine, and the arithmetic that all engines share."""

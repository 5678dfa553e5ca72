"""What shows that mlforge is right: an oracle, strategies, and a suite for every kind of place."""

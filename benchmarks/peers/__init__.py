"""What the zoo is timed against: the same networks by hand, or trained by other libraries."""

"""What every SavedModel of the zoo promises: its files, its graph, its signatures."""

"""The notebooks, and the program that executes them."""

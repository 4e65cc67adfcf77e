"""The aggregate posterior q(z) against the prior p(z), and the use of the codes."""

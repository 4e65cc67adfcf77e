"""Measuring instruments: one file per metric, each a pure function of arrays with known answers."""

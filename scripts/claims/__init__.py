"""The claims of README: what they are (book), measuring them (measure), its tables (readme)."""

"""The phases of a search for one design, each a function of the run and of what the phases before it found."""

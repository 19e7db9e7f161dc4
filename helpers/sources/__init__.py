"""Files of every accepted kind to typed tables with the contract's columns."""

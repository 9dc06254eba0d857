"""Files of an addition: `saas new …` writes them, and prints the next commands."""

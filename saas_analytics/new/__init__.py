"""Files of something new: `saas new …` writes them, and names what is left to edit."""

"""From the house's words to those of its API and back, one module per noun."""

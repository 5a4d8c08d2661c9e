"""The shapes of the house's own API, one module per noun."""

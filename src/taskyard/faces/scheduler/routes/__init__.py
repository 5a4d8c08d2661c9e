"""The routes of D3, one module per noun."""

"""The shapes of `/api/v1`, one module per noun."""

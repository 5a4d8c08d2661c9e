"""Body templates: what they may say, and what they say."""

from taskyard.domain.templates.rendering import MAX_OUTPUT_BYTES, check, render

__all__ = ["MAX_OUTPUT_BYTES", "check", "render"]

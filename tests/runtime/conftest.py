"""The yard's fixtures, for the tests of this folder."""

from tests.runtime.fixtures import yard, yard_url

__all__ = ["yard", "yard_url"]

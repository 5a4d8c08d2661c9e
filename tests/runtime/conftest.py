"""The yard's fixtures, for the tests of this folder."""

from tests.runtime.fixtures import sqlite_template, yard, yard_url

__all__ = ["sqlite_template", "yard", "yard_url"]

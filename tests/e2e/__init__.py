"""Black-box tests: the program as people start it and call it."""

import pytest

pytest.register_assert_rewrite("tests.e2e.yard")

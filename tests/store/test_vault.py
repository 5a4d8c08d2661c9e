"""The vault: what it seals only its own key opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Unavailable
from taskyard.store.vault import Vault

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_sealed_comes_back(value: object) -> None:
    assert Vault("k").open(Vault("k").seal(value)) == value


def test_the_same_value_never_looks_the_same() -> None:
    assert Vault("k").seal("x") != Vault("k").seal("x")


def test_another_key_or_a_changed_text_opens_nothing() -> None:
    sealed = Vault("k").seal("secret")
    changed = sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]
    for vault, text in ((Vault("other"), sealed), (Vault("k"), changed), (Vault("k"), ""), (Vault("k"), "ä")):
        with pytest.raises(Unavailable) as caught:
            vault.open(text)
        assert caught.value.code == "SECRET_KEY_MISMATCH"

"""How tests expect a mistake of the user: by its code and the values in the message."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from decant.runtime.errors import UserError


@contextmanager
def raises(code: str, *values: str) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """The block raises a UserError of this code whose message, hint included, has each value.

    Values are what a user looks for: a name, a number, a path; never a whole sentence.
    """
    with pytest.raises(UserError) as caught:
        yield caught
    assert_error(caught.value, code, *values)


def assert_error(error: UserError, code: str, *values: str) -> None:
    """The error has this code, and its message, hint included, each value."""
    assert error.code == code, f"{error.code}: {error}"
    missing = [value for value in values if value not in str(error)]
    assert not missing, f"{missing} not in: {error}"

"""Broken and odd files through the real ingest: each is read whole, or refused in one message.

DECANT_FUZZ_EXAMPLES sets how many are tried, such as 10000.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from decant.runtime.errors import UserError
from tests.odd_files import Odd, odd_files, read

EXAMPLES = int(os.environ.get("DECANT_FUZZ_EXAMPLES", "150"))
OUTCOMES: Counter[str] = Counter()


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    derandomize="DECANT_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
@given(odd_files(), st.booleans())
def test_every_odd_file_is_read_whole_or_refused(odd: Odd, grouped: bool) -> None:
    try:
        read(odd, grouped=grouped)
        OUTCOMES[f"{odd.how}: read"] += 1
    except UserError as error:
        OUTCOMES[f"{odd.how}: {error.code}"] += 1


def test_the_outcomes_are_told(record_property: pytest.FixtureRequest) -> None:
    """`pytest -s` shows them."""
    for outcome, count in sorted(OUTCOMES.items()):
        print(f"{count:6} {outcome}")

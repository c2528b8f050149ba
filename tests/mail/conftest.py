"""The judges of signatures as a fixture."""

import pytest

from tests.mail import verifying
from tests.mail.verifying import Verifier
from tests.servers.given import Missing, nothing_may_be_skipped


@pytest.fixture(params=verifying.ALL, ids=lambda verifier: verifier.__name__)
def verifier(request: pytest.FixtureRequest) -> Verifier:
    """Each of the three judges in turn."""
    judge: Verifier = request.param
    try:
        judge([], {})
    except Missing as missing:
        (pytest.fail if nothing_may_be_skipped() else pytest.skip)(str(missing))
    return judge

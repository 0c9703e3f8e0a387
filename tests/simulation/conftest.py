"""The simulation's workers log thousands of warnings about the perils they meet; nobody wants to read them."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(processors=[LogCapture()], cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)

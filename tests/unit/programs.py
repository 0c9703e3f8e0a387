"""Programs that some tests need besides Python."""

import os
import shutil

import pytest


def needed(name: str, package: str) -> str:
    """Where the program is. Without it the test is skipped; in CI, where nothing may be missing, it fails."""
    if (found := shutil.which(name)) is not None:
        return found
    if os.environ.get("MAITRED_REQUIRE_SERVERS"):
        pytest.fail(f"{name} is missing: it is in Debian's package {package}")
    pytest.skip(f"{name} is not installed")

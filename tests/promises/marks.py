"""Which tests run where."""

import pytest

from tests.promises.faults import may_trace

needs_strace = pytest.mark.skipif(not may_trace(), reason="strace is not installed, or may not trace here")

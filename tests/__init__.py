import pytest

# What helpers assert is told as fully as what a test asserts.
pytest.register_assert_rewrite("tests.audited", "tests.pond_life", "tests.dead_letters", "tests.queue_world")

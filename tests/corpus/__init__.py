"""The bad-input corpus: 48 numbered cases as tables, and what murace answers to each."""

import pytest

pytest.register_assert_rewrite("tests.corpus.case")

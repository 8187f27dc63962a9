"""The checks that learners run, one module per lesson: `from mflib.exercises import lesson_01`."""

"""Matrix factorization, one room per lesson of the course."""

__version__ = "0.2.0"

"""A client for parlance that loses nothing and proves it, and a helper for bots."""

from .bot import Bot
from .client import Client
from .ledger import Ledger, leaf_of
from .outbox import DirectoryStorage, MemoryStorage, Storage
from .rest import ApiError, Rest, Tokens

__all__ = [
    "ApiError", "Bot", "Client", "DirectoryStorage", "Ledger", "MemoryStorage", "Rest", "Storage", "Tokens", "leaf_of",
]  # fmt: skip

"""Finding plugins, and what they provide."""

from ganbench.plugins.discovery import Catalogue, Failure, Registered, discover

__all__ = ["Catalogue", "Failure", "Registered", "discover"]

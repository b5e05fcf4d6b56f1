"""Results as web pages that need no other file, one a module."""

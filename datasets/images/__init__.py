"""Pictures: read from folders, or drawn."""

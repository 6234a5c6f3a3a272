"""What turns vectors into vectors."""

"""What a suite has to train, and how."""

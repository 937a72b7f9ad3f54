"""What this machine has to train on."""

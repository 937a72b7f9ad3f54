"""One stack on a device: its program, how it is trained, evaluated and resumed."""

"""dlco: size a CNN accelerator and schedule a network on it, together."""

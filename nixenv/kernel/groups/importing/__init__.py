"""What the modules of one group see, and how they are found and loaded."""

"""From match specs to locked archives of conda channels."""

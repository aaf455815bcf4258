"""The Nix daemon's worker protocol: values to bytes (`wire`, `protocol`), and the line (`client`)."""

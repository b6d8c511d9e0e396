"""What people set: settings from the environment and the catalogue of YAML files."""

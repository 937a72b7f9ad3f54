"""From a suite file (TOML) to its variants."""

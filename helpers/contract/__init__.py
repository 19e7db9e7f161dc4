"""What a shop says of itself, and what every column means: shop.toml, presets, canonical tables."""

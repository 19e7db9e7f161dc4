"""A new shop from its exports: propose the mapping, prove it on the data, write shop.toml."""

from helpers.newshop.flow import Request, new_shop

__all__ = ["Request", "new_shop"]

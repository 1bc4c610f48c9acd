"""Shopify's words into ours and ours into Shopify's. Pure: no call, no clock, no chance. A file answers one question."""

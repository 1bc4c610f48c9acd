"""What listens: Shopify's webhooks on one address, metrics and health on another."""

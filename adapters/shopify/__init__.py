"""Shopify: webhooks heard, facts re-read by GraphQL, orders created."""

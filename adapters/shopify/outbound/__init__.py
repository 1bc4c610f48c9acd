"""What Shopify is asked to do: a file for each kind of thing."""

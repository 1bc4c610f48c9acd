"""What Shopify is read for: again because of a hint, and now and then in case no hint came. The two say the same of the same thing."""

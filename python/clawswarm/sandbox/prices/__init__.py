"""Reference prices: a seeded path or a recording, the feeds made of it, and the streams that carry them."""

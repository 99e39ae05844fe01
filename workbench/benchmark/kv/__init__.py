"""Storing tokens: kernels, batches, the whole way through the cache, and cold prefixes back."""

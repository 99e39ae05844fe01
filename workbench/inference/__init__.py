"""Tokenizer, forward pass, sampler, generation and perplexity of a real model over the tiers."""

"""A real model: latency, rates beside other engines, resume, weights and memory."""

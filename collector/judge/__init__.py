"""A model as judge: the question, the client, what an answer is worth, and what asking costs."""

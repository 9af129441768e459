"""What stored rows cost: revised across batches, priced again, and prices kept fresh."""

"""What a model call costs: the price catalogue, its entries and their exact rates."""

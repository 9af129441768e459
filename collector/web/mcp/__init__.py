"""Model Context Protocol: the operations as tools for agents. Nothing of it is loaded before somebody asks."""

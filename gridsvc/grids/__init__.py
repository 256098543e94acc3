"""Layers, areas, people and the change sets that alter them."""

"""Recipes: gin files resolved to plain Python values."""

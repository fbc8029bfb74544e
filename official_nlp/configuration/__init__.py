"""Recipes: gin files that resolve to plain Python values."""

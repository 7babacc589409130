"""Rules: rates, budgets, ceilings, and the refusals that name them."""

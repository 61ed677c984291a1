"""Ranks: a step with `workers=` as several processes that train one model, begun again together from the last checkpoint."""

"""`python -m refresh`, for existing crontabs; the code is in saas_analytics/refresh."""

"""`python -m refresh`, which crontabs have; the code is in saas_analytics/refresh."""

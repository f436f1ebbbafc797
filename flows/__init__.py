"""Prefect flows and deployments: order, schedules, time limits. No science."""

"""The HTTP API: what the store knows, for people and programs with a token.

Importing this package imports nothing heavy; `ostiary.api.app` needs FastAPI, `ostiary.api.server` uvicorn.
"""

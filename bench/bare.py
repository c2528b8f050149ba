"""The peer of the sign-up form: a view that looks at nothing and stores nothing, on the same server."""

from flask import Flask

app = Flask(__name__)


@app.post("/subscribe")
def subscribe() -> str:
    """Answer."""
    return "received"

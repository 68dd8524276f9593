"""The Flask application that examples/flask.rs mounts at `/`."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return f"<h1>Welcome to Flask</h1><p>You came from {request.remote_addr}.</p>\n"


@app.get("/greet/<name>")
def greet(name: str) -> str:
    return f"Good evening, {name}\n"


@app.post("/count")
def count() -> dict[str, int]:
    return {"bytes": len(request.get_data())}


@app.get("/stream")
def stream():
    return (f"line {number}\n" for number in range(1000)), {"Content-Type": "text/plain"}

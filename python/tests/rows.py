"""The clauses to test, by the start of a test's name: `test_e3_...` belongs to row `E3`.

`fails` names the servers that fail a row in this suite; `pytest --peer granian` compares.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    requirement: str
    fails: frozenset[str] = frozenset()


def row(requirement: str, *fails: str) -> Row:
    return Row(requirement, frozenset(fails))


ROWS = {
    "E1": row("environ is a dict, its CGI values are str, and the application is called positionally"),
    "E2": row("every required key is present and correct", "granian", "bjoern"),
    "E3": row("PATH_INFO is decoded to bytes as latin-1, QUERY_STRING stays raw", "uwsgi"),
    "E4": row("header values are latin-1 and all are kept", "granian"),
    "E5": row("repeated headers are joined, cookies by a semicolon",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "E6": row("CONTENT_TYPE and CONTENT_LENGTH have no HTTP_ twin"),
    "E7": row("a header with an underscore in its name is dropped", "wsgiref", "granian", "uwsgi"),
    "E8": row("there is no HTTP_ key for a header that the client did not send", "wsgiref", "granian"),
    "E9": row("an absolute target sets the path, and its authority is HTTP_HOST",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "E10": row("the process's environment is not in environ", "wsgiref", "granian"),
    "I1": row("read in all its forms, and at the end", "wsgiref", "granian", "uwsgi"),
    "I2": row("readline, readlines and iteration, mixed", "wsgiref", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi"),
    "I3": row("the input ends with the body", "wsgiref", "granian"),
    "I4": row("a chunked body is decoded and ends", "wsgiref", "uwsgi"),
    "I5": row("a body can be read while it is sent",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "I6": row("a client that disconnects in its body is an error, never a short read",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "I7": row("the end of the request detaches the input", "wsgiref", "waitress", "gunicorn-sync", "uwsgi", "bjoern"),
    "I8": row("an unread body is never taken for a request", "bjoern"),
    "C1": row("Expect: 100-continue gets a 100 when the body is read", "wsgiref", "uwsgi"),
    "C2": row("and no 100 if it is never read", "waitress", "gunicorn-sync", "gunicorn-gthread", "bjoern"),
    "S1": row("start_response returns write, and may be called once", "granian", "uwsgi", "bjoern"),
    "S2": row("exc_info before output replaces status and all headers",
              "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "S3": row("exc_info after output raises that exception again", "wsgiref", "granian", "uwsgi", "bjoern"),
    "S4": row("the head waits for the first block that is not empty",
              "wsgiref", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "S5": row("start_response may come with the first block",
              "wsgiref", "gunicorn-sync", "gunicorn-gthread", "granian", "bjoern"),
    "S6": row("the status is three digits and a reason, kept as it is", "granian", "bjoern"),
    "S7": row("header names and values are checked, hop-by-hop ones rejected",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "S8": row("repeated headers stay apart and in order", "bjoern"),
    "S9": row("Date and Server are added if they are missing", "gunicorn-sync", "gunicorn-gthread", "uwsgi", "bjoern"),
    "B1": row("blocks are bytes", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi"),
    "B2": row("each block is sent before the next is requested",
              "wsgiref", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi"),
    "B3": row("write sends at once, in order, before the blocks", "wsgiref", "granian", "uwsgi", "bjoern"),
    "B4": row("close is called exactly once"),
    "B5": row("Content-Length is that of one block, and is enforced",
              "wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern"),
    "B6": row("an unknown length is chunked for HTTP/1.1 and ends an HTTP/1.0 connection", "wsgiref", "uwsgi"),
    "B7": row("an error after output aborts the response", "wsgiref", "granian", "uwsgi"),
    "B8": row("no body if there must not be one", "wsgiref", "waitress", "uwsgi", "bjoern"),
    "B9": row("an error before output is a 500 and a traceback", "gunicorn-sync", "granian", "uwsgi"),
    "X1": row("wsgi.errors takes any text"),
    "X2": row("the number of threads is the one that was set"),
    "X3": row("wsgi.file_wrapper sends the file and closes it", "wsgiref", "waitress", "granian", "uwsgi", "bjoern"),
    "X4": row("SystemExit ends a request, KeyboardInterrupt the server", "waitress", "gunicorn-gthread", "uwsgi", "bjoern"),
    "X5": row("a thread keeps its locals from request to request", "bjoern"),
}

# Decisions of the server that no wrapper can change: these tests do not run wrapped under waitress.
UP_TO_WAITRESS = {
    "test_e5_repeated_cookies_are_joined_by_a_semicolon": "it joins them by a comma",
    "test_e9_absolute_target": "it keeps Host",
    "test_i5_lines_come_back_while_the_body_is_sent": "it reads a body before it calls",
    "test_i5_a_large_body_is_read_before_it_is_complete": "it reads a body before it calls",
    "test_i6_a_client_that_disconnects_is_an_error": "it never calls then",
    "test_i7_the_input_of_an_ended_request_has_no_new_bytes": "it closes the file",
    "test_b8_head_has_gets_headers_and_no_body": "its responses to HEAD have Connection: close",
    "test_c2_the_final_status_comes_first_if_nothing_is_read": "it reads a body before it calls",
    "test_x3_no_file_for_head": "it ends an empty body with a chunk",
    "test_x4_system_exit_ends_only_the_request": "it ends",
}


def row_of(function: str) -> str | None:
    """Returns the row at the start of a test's name."""
    parts = function.split("_")
    name = parts[1].upper() if parts[0] == "test" and len(parts) > 1 else ""
    return name if name in ROWS else None

//! Notes in SQLite with rusqlite: queries block, so the handlers run on a pool of threads.

use std::env;
use std::error::Error;
use std::io::Read;
use std::time::Duration;

use enfilade::http::StatusCode;
use enfilade::middleware::{AccessLog, Router};
use enfilade::{Application, BodyReader, HttpError, Request, Server, blocking};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::OptionalExtension;

type Pool = r2d2::Pool<SqliteConnectionManager>;

/// Reads a body as text, of at most 10,000 bytes.
fn text(request: &mut Request) -> Result<String, HttpError> {
    let mut text = String::new();
    let read = BodyReader::new(request.take_body())
        .take(10_001)
        .read_to_string(&mut text)?;
    match read {
        0..=10_000 => Ok(text),
        _ => Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE)),
    }
}

fn add(pool: &Pool, mut request: Request) -> Result<(StatusCode, String), HttpError> {
    let text = text(&mut request)?;
    let connection = pool.get()?;
    connection.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
    Ok((
        StatusCode::CREATED,
        format!("Note {}\n", connection.last_insert_rowid()),
    ))
}

/// `None` is a 404.
fn show(pool: &Pool, request: Request) -> Result<Option<String>, HttpError> {
    let id: i64 = request.param("id")?;
    let select = "SELECT text FROM notes WHERE id = ?1";
    let note = pool
        .get()?
        .query_row(select, [id], |row| row.get::<_, String>(0))
        .optional()?;
    Ok(note.map(|note| format!("{note}\n")))
}

/// Adds a note for each line, or no note: a transaction that is not committed is rolled back.
fn import(pool: &Pool, mut request: Request) -> Result<String, HttpError> {
    let text = text(&mut request)?;
    let mut connection = pool.get()?;
    let transaction = connection.transaction()?;
    for line in text.lines() {
        if line.is_empty() {
            return Err(HttpError::new(StatusCode::UNPROCESSABLE_ENTITY).message("a line is empty"));
        }
        transaction.execute("INSERT INTO notes (text) VALUES (?1)", [line])?;
    }
    transaction.commit()?;
    Ok(format!("{} notes\n", text.lines().count()))
}

/// Opens at most eight connections. A request that waits longer than two seconds for one gets a 500.
fn connect(manager: SqliteConnectionManager) -> Result<Pool, Box<dyn Error>> {
    let pool = r2d2::Pool::builder()
        .max_size(8)
        .connection_timeout(Duration::from_secs(2));
    let pool = pool.build(manager)?;
    let table = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    pool.get()?.execute(table, [])?;
    Ok(pool)
}

/// Each handler has its own clone of the pool, and `blocking` has 8 threads for each, as there are 8 connections.
fn app(pool: Pool) -> Result<Application, enfilade::middleware::Error> {
    let [for_add, for_show, for_import] = [pool.clone(), pool.clone(), pool];
    let router = Router::new()
        .post(
            "/notes",
            blocking(move |request: Request| add(&for_add, request)).threads(8),
        )
        .get(
            "/notes/{id:int}",
            blocking(move |request: Request| show(&for_show, request)).threads(8),
        )
        .post(
            "/import",
            blocking(move |request: Request| import(&for_import, request)).threads(8),
        );
    Ok(router.build()?.wrap(AccessLog::common()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let pool = connect(SqliteConnectionManager::file("notes.db"))?;
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app(pool)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use enfilade_testing::Client;

    use super::*;

    fn client() -> Client {
        // A database in memory that all connections of this pool share, and no other.
        let name = format!(
            "file:{:?}?mode=memory&cache=shared",
            std::thread::current().id()
        );
        Client::new(app(connect(SqliteConnectionManager::file(name)).unwrap()).unwrap())
    }

    #[test]
    fn a_note_is_there_after_it_was_added() {
        let client = client();
        let added = client.post("/notes").body("a door").send();
        assert_eq!((added.status().as_u16(), &*added.text()), (201, "Note 1\n"));
        assert_eq!(client.get("/notes/1").send().text(), "a door\n");
        assert_eq!(client.get("/notes/2").send().status(), 404);
        assert_eq!(
            client
                .post("/notes")
                .body("x".repeat(10_001))
                .send()
                .status(),
            413
        );
    }

    #[test]
    fn an_import_is_all_or_nothing() {
        let client = client();
        let refused = client.post("/import").body("a wall\n\na window").send();
        assert_eq!(
            (refused.status().as_u16(), &*refused.text()),
            (422, "a line is empty")
        );
        assert_eq!(client.get("/notes/1").send().status(), 404);
        assert_eq!(
            client
                .post("/import")
                .body("a wall\na window")
                .send()
                .text(),
            "2 notes\n"
        );
        assert_eq!(client.get("/notes/2").send().text(), "a window\n");
    }
}

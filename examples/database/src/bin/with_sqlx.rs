//! Notes in SQLite with sqlx: handlers await their queries.

use std::env;
use std::error::Error;
use std::time::Duration;

use enfilade::http::StatusCode;
use enfilade::middleware::{AccessLog, ConcurrencyLimit, Router};
use enfilade::{Application, HttpError, Request, Server};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

/// Reads a body as text, of at most 10,000 bytes.
async fn text(request: &mut Request) -> Result<String, HttpError> {
    let body = request.take_body().collect(10_000).await?;
    String::from_utf8(body.to_vec()).map_err(|error| {
        let error = HttpError::new(StatusCode::BAD_REQUEST).caused_by(error);
        error.message("send UTF-8")
    })
}

async fn add(pool: &SqlitePool, mut request: Request) -> Result<(StatusCode, String), HttpError> {
    let text = text(&mut request).await?;
    let insert = sqlx::query("INSERT INTO notes (text) VALUES (?)").bind(text);
    let id = insert.execute(pool).await?.last_insert_rowid();
    Ok((StatusCode::CREATED, format!("Note {id}\n")))
}

/// `None` is a 404.
async fn show(pool: &SqlitePool, request: Request) -> Result<Option<String>, HttpError> {
    let select =
        sqlx::query("SELECT text FROM notes WHERE id = ?").bind(request.param::<i64>("id")?);
    let note = select.fetch_optional(pool).await?;
    Ok(note.map(|note| format!("{}\n", note.get::<String, _>("text"))))
}

/// Adds a note for each line, or no note. If the handler returns early, or is dropped because its client disconnected,
/// the transaction is rolled back.
async fn import(pool: &SqlitePool, mut request: Request) -> Result<String, HttpError> {
    let text = text(&mut request).await?;
    let mut transaction = pool.begin().await?;
    for line in text.lines() {
        if line.is_empty() {
            return Err(HttpError::new(StatusCode::UNPROCESSABLE_ENTITY).message("a line is empty"));
        }
        let insert = sqlx::query("INSERT INTO notes (text) VALUES (?)").bind(line);
        insert.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(format!("{} notes\n", text.lines().count()))
}

async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    // A request that waits longer than two seconds for a connection gets a 500.
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(2));
    let pool = pool.connect_with(options.create_if_missing(true)).await?;
    let table = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    sqlx::query(table).execute(&pool).await?;
    Ok(pool)
}

/// Each handler has its own clone of the pool, which is cheap.
fn app(pool: SqlitePool) -> Result<Application, enfilade::middleware::Error> {
    let [for_add, for_show, for_import] = [pool.clone(), pool.clone(), pool];
    let router = Router::new()
        .post("/notes", async move |request: Request| {
            add(&for_add, request).await
        })
        .get("/notes/{id:int}", async move |request: Request| {
            show(&for_show, request).await
        })
        .post("/import", async move |request: Request| {
            import(&for_import, request).await
        });
    // Limits the requests to the database: 64 run, 64 wait for at most a second, and further ones get a 503.
    let limit = ConcurrencyLimit::new(64)
        .backlog(64)
        .wait(Duration::from_secs(1));
    Ok(router.build()?.wrap(limit).wrap(AccessLog::common()))
}

// The pool belongs to this runtime, so the server runs in it.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let pool = connect(SqliteConnectOptions::new().filename("notes.db")).await?;
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve(app(pool)?).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use enfilade_testing::Client;

    use super::*;

    async fn client() -> Client {
        // Each connection to memory is a database of its own, so there is one.
        let options = SqliteConnectOptions::new().in_memory(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .unwrap();
        let table = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
        sqlx::query(table).execute(&pool).await.unwrap();
        Client::new(app(pool).unwrap())
    }

    #[tokio::test]
    async fn a_note_is_there_after_it_was_added() {
        let client = client().await;
        let added = client.post("/notes").body("a door").send_async().await;
        assert_eq!((added.status().as_u16(), &*added.text()), (201, "Note 1\n"));
        assert_eq!(client.get("/notes/1").send_async().await.text(), "a door\n");
        assert_eq!(client.get("/notes/2").send_async().await.status(), 404);
    }

    #[tokio::test]
    async fn an_import_is_all_or_nothing() {
        let client = client().await;
        let refused = client
            .post("/import")
            .body("a wall\n\na window")
            .send_async()
            .await;
        assert_eq!(
            (refused.status().as_u16(), &*refused.text()),
            (422, "a line is empty")
        );
        assert_eq!(client.get("/notes/1").send_async().await.status(), 404);
        assert_eq!(
            client
                .post("/import")
                .body("a wall\na window")
                .send_async()
                .await
                .text(),
            "2 notes\n"
        );
        assert_eq!(
            client.get("/notes/2").send_async().await.text(),
            "a window\n"
        );
    }

    #[tokio::test]
    async fn an_error_of_the_database_is_a_500_that_says_nothing() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap(); // without the table
        let client = Client::new(app(pool).unwrap());
        let response = client.get("/notes/1").send_async().await;
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (500, "Internal Server Error")
        );
    }
}

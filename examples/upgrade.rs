//! A connection that is upgraded from HTTP to a protocol of lines.
//!
//! ```text
//! printf 'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\nhello\nbye\n' | nc localhost 8000
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;

use enfilade::http::header::UPGRADE;
use enfilade::http::{HeaderValue, StatusCode};
use enfilade::middleware::{AccessLog, ErrorPages};
use enfilade::{Application, HttpError, Request, Response, Server, TokioStream};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Sends each line back in capitals, until the client closes or the server stops.
fn lines(request: Request) -> Result<Response, HttpError> {
    let Some(upgrade) = request.upgrade("lines") else {
        let error = HttpError::new(StatusCode::UPGRADE_REQUIRED);
        return Err(error.header(UPGRADE, HeaderValue::from_static("lines")));
    };
    let connection = request.connection().clone();
    Ok(upgrade.respond(async move |upgraded| {
        let mut stream = BufReader::new(TokioStream::new(upgraded));
        let mut line = String::new();
        loop {
            line.clear();
            let read = tokio::select! {
                read = stream.read_line(&mut line) => read?,
                () = connection.shutting_down() => {
                    stream.write_all(b"The server stops.\n").await?;
                    0
                }
            };
            if read == 0 {
                return stream.shutdown().await;
            }
            stream.write_all(line.to_uppercase().as_bytes()).await?;
            stream.flush().await?;
        }
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let app = Application::new(lines).wrap(ErrorPages::new());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app.wrap(AccessLog::common()))?;
    Ok(())
}

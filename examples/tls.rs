//! HTTPS and HTTP/2 with certificates from files.
//!
//! ```sh
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//! cargo run --example tls --features tls -- cert.pem key.pem
//! curl --cacert cert.pem https://localhost:8443/
//! ```
//!
//! On SIGHUP the files are read again; open connections stay open.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program prints its address and its errors"
)]

use std::env;
use std::error::Error;

use enfilade::{Application, Certificates, Listener, Request, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(chain), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("tls CHAIN KEY [ADDRESS], the first two in PEM".into());
    };
    let address = arguments.next().unwrap_or("127.0.0.1:8443".to_owned());
    let certificates = Certificates::load(chain, key)?;
    let again = certificates.clone();
    let app = Application::new(|request: Request| {
        let version = request
            .connection()
            .tls()
            .map_or("none", |tls| tls.version());
        format!("Hello over {} and {version}\n", request.protocol())
    });
    let listener = Listener::tcp(address)?.tls(certificates);
    let server = Server::new(listener).on_hangup(move || {
        if let Err(error) = again.reload() {
            eprintln!("reloading failed, the old certificates stay: {error}");
        }
    });
    println!("Serving on https://{}", server.local_addr());
    server.serve_forever(app)?;
    Ok(())
}

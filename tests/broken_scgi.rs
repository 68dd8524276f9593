//! Bodies that fail, behind a web server that speaks SCGI.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod broken;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::Write;
use std::net::TcpStream;

use enfilade::scgi;

use self::support::broken::{all, app};

#[test]
fn scgi_resets_a_body_without_an_end() {
    let server = scgi::Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = runtime.spawn(server.serve_until(app(), std::future::pending()));
    for (plan, content, is_reset) in [
        ("abc", "abc", false),
        ("abc|.def|!", "abc.def", true),
        ("!", "", true),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        let uri = plan.replace('|', "%7C");
        let variables = format!(
            "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/{uri}\x00PATH_INFO\x00/{plan}\x00SERVER_PROTOCOL\x00HTTP/1.1\x00HTTP_HOST\x00h\x00"
        );
        let request = format!("{}:{variables},", variables.len());
        stream.write_all(request.as_bytes()).unwrap();
        let (response, found) = all(stream);
        assert_eq!(found, is_reset, "{plan}: {response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap_or_default();
        assert_eq!(body, content, "{plan}");
    }
    serving.abort();
}

//! The example `fastcgi` behind nginx, as its docs configure it.

use crate::support::process::Process;
use crate::support::wire::Wire;
use crate::web_servers::{folder, listen, nginx};

#[test]
fn nginx_passes_requests_to_the_example_fastcgi() {
    let process = Process::example("fastcgi", &["127.0.0.1:0"]);
    let (listener, address) = listen();
    let pass = process.address;
    let block = format!(
        "server {{ listen {address}; location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass {pass}; }} }}"
    );
    let _nginx = nginx(folder("example"), listener, &block);
    let mut wire = Wire::connect(address);
    wire.send("GET /guests/Ada?x HTTP/1.1\r\nHost: h\r\n\r\n");
    let response = wire.response();
    assert_eq!(
        (response.status(), response.text()),
        ("200 OK", "Good evening, Ada\n")
    );
    wire.send("GET /cellar HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(wire.response().status(), "404 Not Found");
}

//! Enfilade: `files-ours ADDRESS FOLDER`. `/constant` has the content of the file `1k` from memory.

use bytes::Bytes;
use enfilade::middleware::{Files, Router};
use enfilade::{Request, Server};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else {
        panic!("an address and a folder");
    };
    let constant = std::fs::read(format!("{folder}/1k")).expect("the file 1k");
    let constant = Bytes::from(constant);
    let files = Files::directory(folder).expect("a folder");
    let app = Router::new()
        .get("/constant", move |_: Request| constant.clone())
        .fallback(files)
        .build()
        .expect("routes");
    let server = Server::bind(address).expect("a free address");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(server.serve(app)).expect("no failure");
}

//! Salvo's `StaticDir`: `files-salvo ADDRESS FOLDER`.

use salvo::conn::{Listener, TcpListener};
use salvo::serve_static::StaticDir;
use salvo::{Router, Server};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else {
        panic!("an address and a folder");
    };
    let router = Router::with_path("{*path}").get(StaticDir::new([folder]));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let acceptor = TcpListener::new(address.clone()).bind().await;
        Server::new(acceptor).serve(router).await;
    });
}

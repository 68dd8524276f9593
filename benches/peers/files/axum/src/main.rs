//! tower-http's `ServeDir` under axum: `files-axum ADDRESS FOLDER`.

use axum::Router;
use tower_http::services::ServeDir;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else {
        panic!("an address and a folder");
    };
    let app = Router::new().fallback_service(ServeDir::new(folder));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.expect("a free address");
        axum::serve(listener, app).await.expect("no failure");
    });
}

//! actix-files: `files-actix ADDRESS FOLDER`.

use actix_files::Files;
use actix_web::{App, HttpServer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else {
        panic!("an address and a folder");
    };
    let served = actix_web::rt::System::new().block_on(async {
        let folder = folder.clone();
        HttpServer::new(move || App::new().service(Files::new("/", &folder)))
            .workers(1)
            .bind(address)
            .expect("a free address")
            .run()
            .await
    });
    served.expect("no failure");
}

//! A login form and an upload in a browser: forms, files, cookies, and a redirect after each POST.
//!
//! ```sh
//! cargo run --example forms --features form,multipart    # and http://localhost:8000 in a browser
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use enfilade::http::StatusCode;
use enfilade::middleware::{
    AccessLog, FormData, FormDataOptions, MultipartLimits, Router, SecurityHeaders,
};
use enfilade::{
    Attachment, Cookie, Html, HttpError, IntoResponse, Redirect, Request, Response, Server,
    blocking,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// Text in a page.
fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;")
}

fn page(body: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Forms</title><body>{body}</body></html>"
    ))
}

/// The login form, or the files and the upload form. The name is in a cookie, which any client can forge: use sessions
/// for a real login.
fn home(request: &Request, folder: &Path) -> Result<Response, HttpError> {
    let Some(name) = request.cookies().get_decoded("name") else {
        let action = request.url_for_path("/login");
        let form = format!(
            "<form method=post action={action}><input name=name required> <button>Log in</button></form>"
        );
        return Ok(page(&form).into_response());
    };
    let mut files = String::new();
    for file in std::fs::read_dir(folder)? {
        let file = escaped(&file?.file_name().to_string_lossy());
        files += &format!("<li>{file}</li>");
    }
    let (upload, logout) = (
        request.url_for_path("/files"),
        request.url_for_path("/logout"),
    );
    let body = format!(
        "<p>Hello, {}.</p><ul>{files}</ul>\
         <form method=post action={upload} enctype=multipart/form-data>\
         <input type=file name=file required> <button>Upload</button></form>\
         <form method=post action={logout}><button>Log out</button></form>",
        escaped(&name)
    );
    Ok(page(&body).into_response())
}

async fn login(mut request: Request) -> Result<(Cookie, Redirect), HttpError> {
    let Login { name } = request.form().await?;
    let name = Cookie::encoded("name", &name);
    Ok((name, Redirect::see_other(&request, "/")))
}

/// Keeps a file under a safe name; a second file of that name is a 409.
async fn upload(mut request: Request, folder: &Path) -> Result<Redirect, HttpError> {
    let limits = MultipartLimits::new().files(1).file_bytes(10 << 20);
    let form = FormData::from_request(&mut request, &FormDataOptions::new().limits(limits)).await?;
    let missing = || HttpError::new(StatusCode::BAD_REQUEST).message("choose a file");
    let file = form.file("file").ok_or_else(missing)?;
    let name = file.safe_name().ok_or_else(missing)?;
    file.persist(folder.join(&name))
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                HttpError::new(StatusCode::CONFLICT).message(format!("{name} is there already"))
            }
            _ => error.into(),
        })?;
    Ok(Redirect::see_other(&request, "/"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let folder: PathBuf = env::temp_dir().join("enfilade-uploads");
    std::fs::create_dir_all(&folder)?;
    let uploads = folder.clone();
    let app = Router::new()
        .get(
            "/",
            blocking(move |request: Request| home(&request, &folder)),
        )
        .post("/login", login)
        .post("/logout", |request: Request| {
            (
                Cookie::new("name", "").removal(),
                Redirect::see_other(&request, "/"),
            )
        })
        .post("/files", async move |request: Request| {
            upload(request, &uploads).await
        })
        .get("/report", |_: Request| {
            Attachment::new("report.csv", "room,seats\nsalon,12\n")
        })
        .build()?
        .wrap(SecurityHeaders::new())
        .wrap(AccessLog::combined());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app)?;
    Ok(())
}

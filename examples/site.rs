//! A little site: templates, static files, a form with an upload, error pages in the layout of the site.
//!
//! ```sh
//! cargo run --example site --features multipart    # and http://localhost:8000 in a browser
//! ```
//!
//! The templates and the static files are in `site/`.

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enfilade::http::StatusCode;
use enfilade::middleware::{
    AccessLog, CatchPanic, Compression, ErrorPage, ErrorPages, Files, FormData, FormDataOptions,
    MultipartLimits, Router, SecurityHeaders, Upload,
};
use enfilade::{
    Application, Html, HttpError, IntoResponse, Pipeline, Redirect, Request, Response, Server,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Value, context};

/// The static files.
const PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/site/public");
/// The templates are part of the program, so a mistake in one is found when it starts.
const TEMPLATES: [(&str, &str); 5] = [
    ("layout.html", include_str!("site/templates/layout.html")),
    ("home.html", include_str!("site/templates/home.html")),
    ("rooms.html", include_str!("site/templates/rooms.html")),
    ("guests.html", include_str!("site/templates/guests.html")),
    ("error.html", include_str!("site/templates/error.html")),
];
const ROOMS: [(&str, &str, u32); 5] = [
    (
        "The hall",
        "Stone floor, a bench, and too many umbrellas.",
        1,
    ),
    (
        "The salon",
        "The piano is tuned in spring. You may play.",
        4,
    ),
    (
        "The library",
        "Nine thousand books and a ladder on wheels.",
        2,
    ),
    (
        "The winter garden",
        "Lemons, and a draught under the door.",
        12,
    ),
    ("The garden", "No windows at all: it is the view.", 0),
];
/// The number of entries that fit into the guest book.
const PAGES: usize = 100;
const PICTURE_BYTES: usize = 2 << 20;

struct Guest {
    name: String,
    text: String,
    picture: Option<String>,
}

/// What handlers share; a real site has a database in place of the list.
struct Site {
    templates: Environment<'static>,
    guests: Mutex<Vec<Guest>>,
    pictures: PathBuf,
}

/// What is wrong with a form, by field.
type Mistakes = BTreeMap<&'static str, &'static str>;

impl Site {
    fn new(pictures: &Path) -> Result<Site, minijinja::Error> {
        let mut templates = Environment::new();
        // Lines that are only tags leave no empty lines.
        let mut syntax = SyntaxConfig::builder();
        syntax.trim_blocks(true).lstrip_blocks(true);
        templates.set_syntax(syntax.build()?);
        for (name, source) in TEMPLATES {
            templates.add_template(name, source)?;
        }
        let (guests, pictures) = (Mutex::default(), pictures.to_owned());
        Ok(Site {
            templates,
            guests,
            pictures,
        })
    }

    fn guests(&self) -> MutexGuard<'_, Vec<Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders a page. Its links have the prefix at which the site is mounted, and text in it is escaped.
    fn page(&self, request: &Request, name: &str, more: Value) -> Result<Html<String>, HttpError> {
        let layout = context! { root => request.script_name(), here => request.path() };
        let template = self.templates.get_template(name)?;
        Ok(Html(template.render(context! { ..more, ..layout })?))
    }

    fn home(&self, request: &Request) -> Result<Html<String>, HttpError> {
        self.page(request, "home.html", context! {})
    }

    fn rooms(&self, request: &Request) -> Result<Html<String>, HttpError> {
        let room = |(name, text, windows)| context! { name, text, windows };
        let rooms: Vec<Value> = ROOMS.map(room).into();
        self.page(request, "rooms.html", context! { rooms })
    }

    fn guest_book(
        &self,
        request: &Request,
        form: Value,
        mistakes: &Mistakes,
    ) -> Result<Html<String>, HttpError> {
        let entry = |Guest {
                         name,
                         text,
                         picture,
                     }: &Guest| context! { name, text, picture };
        let guests: Vec<Value> = self.guests().iter().rev().map(entry).collect();
        let is_signed = request.query_string() == Some("signed");
        let errors = Value::from(mistakes.clone());
        let more = context! { guests, form, errors, is_signed };
        self.page(request, "guests.html", more)
    }

    /// Writes an entry and redirects, so that reloading the page does not write it again. If the form has mistakes, it is
    /// shown again, with what the user wrote.
    async fn sign(&self, mut request: Request) -> Result<Response, HttpError> {
        let limits = MultipartLimits::new()
            .files(1)
            .file_bytes(PICTURE_BYTES as u64);
        let options = FormDataOptions::new().limits(limits).memory(PICTURE_BYTES);
        let form = FormData::from_request(&mut request, &options).await?;
        let field = |name| form.text(name).unwrap_or_default().trim().to_owned();
        let (name, text) = (field("name"), field("text"));
        let kind = form.file("picture").map(kind_of_picture);
        let mistakes = mistakes(&name, &text, kind);
        if !mistakes.is_empty() {
            let page = self.guest_book(&request, context! { name, text }, &mistakes)?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
        let number = {
            let mut guests = self.guests();
            if guests.len() == PAGES {
                return Err(HttpError::new(StatusCode::CONFLICT).message("The guest book is full."));
            }
            guests.push(Guest {
                name,
                text,
                picture: None,
            });
            guests.len() - 1
        };
        if let (Some(picture), Some(Some(kind))) = (form.file("picture"), kind) {
            // A name of our own: the client's may be anything.
            let name = format!("{number}.{kind}");
            picture.persist(self.pictures.join(&name)).await?;
            self.guests()[number].picture = Some(name);
        }
        Ok(Redirect::see_other(&request, "/guests?signed").into_response())
    }

    /// The page of an error, which must not fail itself.
    fn error(&self, error: &ErrorPage, request: &Request) -> String {
        let (status, title, detail) = (error.status().as_u16(), error.title(), error.detail());
        let path = request.url_for_path(request.path());
        let page = self.page(
            request,
            "error.html",
            context! { status, title, detail, path },
        );
        page.map_or_else(|_| title.to_owned(), |Html(page)| page)
    }
}

/// The extension of a picture, by its content: the name and the type are what the client says.
fn kind_of_picture(picture: &Upload) -> Option<&'static str> {
    let content = picture.as_bytes()?;
    let kinds: [(&[u8], _); 2] = [(b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpg")];
    let found = kinds.iter().find(|(start, _)| content.starts_with(start));
    found.map(|(_, kind)| *kind)
}

fn mistakes(name: &str, text: &str, kind: Option<Option<&str>>) -> Mistakes {
    let mut mistakes = Mistakes::new();
    for (field, content, most, missing, long) in [
        (
            "name",
            name,
            60,
            "Please write your name.",
            "Please use at most 60 characters.",
        ),
        (
            "text",
            text,
            500,
            "Please write what you saw.",
            "Please use at most 500 characters.",
        ),
    ] {
        match content.chars().count() {
            0 => drop(mistakes.insert(field, missing)),
            count if count > most => drop(mistakes.insert(field, long)),
            _ => {}
        }
    }
    if kind == Some(None) {
        mistakes.insert("picture", "This is not a PNG or a JPEG.");
    }
    mistakes
}

fn app(pictures: &Path) -> Result<Application, Box<dyn Error>> {
    let site = Arc::new(Site::new(pictures)?);
    let [home, rooms, guests, sign, error] = std::array::from_fn(|_| site.clone());
    let router = Router::new()
        .get("/", move |request: Request| home.home(&request))
        .get("/rooms", move |request: Request| rooms.rooms(&request))
        .get("/guests", move |request: Request| {
            guests.guest_book(&request, context! {}, &Mistakes::new())
        })
        .post("/guests", async move |request: Request| {
            sign.sign(request).await
        })
        // Files of users do not act in the name of the site.
        .mount("/pictures", Files::directory(pictures)?.untrusted())
        .build()?;
    // Read it top down, as the request travels.
    let house = Pipeline::new()
        .with(AccessLog::combined())
        .with(SecurityHeaders::new())
        .with(Compression::new())
        .with(ErrorPages::new().render(move |page, request| error.error(page, request)))
        .with(CatchPanic::new())
        .with(Files::directory(PUBLIC)?);
    Ok(router.wrap(house))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let pictures = env::temp_dir().join(format!("enfilade-site-{}", std::process::id()));
    std::fs::create_dir(&pictures)?;
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app(&pictures)?)?;
    std::fs::remove_dir_all(&pictures)?;
    Ok(())
}

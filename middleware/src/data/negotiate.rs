//! Chooses between applications by what the client prefers.

use enfilade_core::headers::vary_add;
use enfilade_core::{Application, Description, Handler, HttpError, IntoHandler, Reply, Request};
use http::header::{ACCEPT, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::matching::accept::choose;
use crate::matching::language::choose_language;

/// Calls the application whose media type or language the client prefers (RFC 9110, section 12).
///
/// The first one is the default: it responds if the client accepts none of them, or states no preference. Of equally preferred
/// ones the first counts. Every response gets `Vary` with the name of the header.
///
/// The applications set `Content-Type` and `Content-Language` themselves.
///
/// # Order
///
/// It is an application. A `Compression` around it adds to the same `Vary`.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::Negotiate;
/// use enfilade::{Application, Html, Request};
/// use enfilade_testing::Client;
///
/// let rooms = Negotiate::media_type("text/html", |_: Request| Html("<li>salon"))
///     .or("application/json", |_: Request| ([("content-type", "application/json")], r#"["salon"]"#));
/// let client = Client::new(Application::new(rooms));
/// let response = client.get("/").header("accept", "application/json, */*;q=0.1").send();
/// assert_eq!(response.text(), r#"["salon"]"#);
/// assert_eq!(response.header("vary"), Some("accept"));
///
/// let greeting = Negotiate::language("en", |_: Request| "Welcome").or("de", |_: Request| "Willkommen");
/// let client = Client::new(Application::new(greeting));
/// assert_eq!(client.get("/").header("accept-language", "de-AT, en;q=0.8").send().text(), "Willkommen");
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until an application is made of it"]
pub struct Negotiate {
    by: By,
    variants: Vec<(String, Application)>,
    is_strict: bool,
}

#[derive(Clone, Copy, Debug)]
enum By {
    MediaType,
    Language,
}

impl Negotiate {
    /// Chooses by `Accept`; this is the default application, and its media type, such as `text/html`.
    pub fn media_type<M>(media_type: impl Into<String>, app: impl IntoHandler<M>) -> Negotiate {
        let media_type = without_parameters(media_type.into());
        Negotiate::new(By::MediaType, media_type, app.into_application())
    }

    /// Chooses by `Accept-Language` (RFC 4647, sections 3.3.1 and 3.4); this is the default application, and its language, such as
    /// `en` or `de-CH`.
    pub fn language<M>(language: impl Into<String>, app: impl IntoHandler<M>) -> Negotiate {
        Negotiate::new(By::Language, language.into(), app.into_application())
    }

    fn new(by: By, name: String, app: Application) -> Negotiate {
        Negotiate {
            by,
            variants: vec![(name, app)],
            is_strict: false,
        }
    }

    /// Adds an application, and its media type or language.
    pub fn or<M>(mut self, name: impl Into<String>, app: impl IntoHandler<M>) -> Negotiate {
        let name = match self.by {
            By::MediaType => without_parameters(name.into()),
            By::Language => name.into(),
        };
        self.variants.push((name, app.into_application()));
        self
    }

    /// Responds with 406 if the client accepts none of them. By default the first one responds.
    pub fn strict(mut self) -> Negotiate {
        self.is_strict = true;
        self
    }

    /// The header that decides.
    fn header(&self) -> HeaderName {
        match self.by {
            By::MediaType => ACCEPT,
            By::Language => ACCEPT_LANGUAGE,
        }
    }

    fn chosen(&self, headers: &HeaderMap) -> Option<&Application> {
        let names = self.variants.iter().map(|(name, _)| name.as_str());
        let at = match self.by {
            By::MediaType => choose(headers, &names.zip(0..).collect::<Vec<_>>()),
            By::Language => choose_language(headers, &names.collect::<Vec<_>>()),
        };
        let is_asked = headers.contains_key(self.header());
        let at = at.or((!self.is_strict || !is_asked).then_some(0))?;
        self.variants.get(at).map(|(_, app)| app)
    }
}

/// `Accept` is matched without parameters, so they are not part of a name.
fn without_parameters(media_type: String) -> String {
    match media_type.split_once(';') {
        Some((name, _)) => name.trim_end().to_owned(),
        None => media_type,
    }
}

impl Handler for Negotiate {
    fn call(&self, request: Request) -> Reply {
        let reply = match self.chosen(request.headers()) {
            Some(app) => app.call(request),
            None => Reply::new(HttpError::new(StatusCode::NOT_ACCEPTABLE)),
        };
        let header = self.header();
        reply.update(move |response| vary_add(response.headers_mut(), &header))
    }

    fn describe(&self) -> Description {
        let header = self.header();
        let negotiate = Description::new("Negotiate").option("header", header.as_str());
        let children = self.variants.iter();
        children.fold(negotiate, |negotiate, (name, app)| {
            negotiate.child(name.clone(), app.describe())
        })
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let variants = self
            .variants
            .iter()
            .map(|(name, app)| (name.clone(), change(app.clone())));
        let variants = variants.collect();
        Some(Application::from_handler(Negotiate {
            by: self.by,
            variants,
            is_strict: self.is_strict,
        }))
    }
}

#[cfg(test)]
mod tests {
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    fn both() -> Negotiate {
        Negotiate::media_type("text/html; charset=utf-8", |_: Request| "html")
            .or("application/json", |_: Request| "json")
    }

    #[test]
    fn the_first_is_the_default_and_406_is_an_option() {
        for (accept, lenient, strict) in [
            (None, "html", 200),
            (Some("application/*"), "json", 200),
            (Some("text/html;q=0.1, application/json;q=0.2"), "json", 200),
            (Some("image/png"), "html", 406),
            (Some("*/*"), "html", 200),
            (Some("text/html;charset=utf-8"), "html", 200),
        ] {
            let send = |app: Negotiate| {
                let request = Client::new(Application::new(app).wrap(Lint::new())).get("/");
                match accept {
                    Some(accept) => request.header("accept", accept).send(),
                    None => request.send(),
                }
            };
            let response = send(both());
            assert_eq!(
                (response.text().as_ref(), response.header("vary")),
                (lenient, Some("accept"))
            );
            let response = send(both().strict());
            assert_eq!(
                (response.status().as_u16(), response.header("vary")),
                (strict, Some("accept"))
            );
        }
    }

    #[test]
    fn keeps_the_laws() {
        let around = |app: Application| {
            Application::new(Negotiate::language("en", app.clone()).or("de", app))
        };
        laws::Check::new(around)
            .varies([ACCEPT_LANGUAGE])
            .touches([http::header::VARY])
            .run();
    }
}

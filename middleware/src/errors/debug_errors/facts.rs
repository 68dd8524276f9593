//! The facts that are shown about a request and the components that handled it.

use enfilade_core::{Description, RemoteUser, Request, RequestIdValue, Response};
use http::Method;

use super::shown;
use crate::dispatch::router::RouteTrail;
use crate::shared::redaction::Redaction;

/// The maximum length of a text from the request, in bytes.
const MAX_TEXT: usize = 2_000;
/// The maximum number of headers and of parameters.
const MAX_PAIRS: usize = 100;
/// The maximum number of components, and the maximum length of each option, in bytes.
const MAX_COMPONENTS: usize = 500;
const MAX_OPTION: usize = 300;

/// Replaces a hidden value.
const HIDDEN: &str = "***";

/// A request as it reached the wrapper.
pub(super) struct RequestFacts {
    /// The method and the target.
    pub(super) line: String,
    /// Labels and values.
    pub(super) rows: Vec<(&'static str, String)>,
    pub(super) query: ShownPairs,
    pub(super) headers: ShownPairs,
}

/// Names and values, and the number of those that are left out.
#[derive(Default)]
pub(super) struct ShownPairs {
    pub(super) shown: Vec<(String, String)>,
    pub(super) more: usize,
}

/// A component of the stack, and its depth below the outermost.
pub(super) struct ComponentFacts {
    pub(super) depth: usize,
    pub(super) label: String,
    pub(super) name: String,
    pub(super) options: Vec<(String, String)>,
}

impl RequestFacts {
    /// Reads the request; the response may know the facts that an inner component found.
    pub(super) fn new(
        request: &Request,
        response: &Response,
        redaction: &Redaction,
    ) -> RequestFacts {
        // HEAD has the same headers as GET, so the page that HEAD omits is that of GET (RFC 9110, section 9.3.2).
        let method = match *request.method() {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        let target = request.uri().to_string();
        let target = shown::bytes(&redaction.url(target.as_bytes()), MAX_TEXT);
        RequestFacts {
            line: format!("{} {target}", shown::display(method, MAX_TEXT)),
            rows: rows(request, response, redaction),
            query: query(request, redaction),
            headers: headers(request, redaction),
        }
    }
}

fn rows(
    request: &Request,
    response: &Response,
    redaction: &Redaction,
) -> Vec<(&'static str, String)> {
    let url = request.url();
    let url = redaction.url(url.as_bytes());
    let rows = [
        ("Version", Some(request.protocol().to_owned())),
        ("Scheme", Some(request.scheme().as_str().to_owned())),
        ("URL", Some(shown::bytes(&url, MAX_TEXT))),
        ("Script name", Some(request.script_name().to_owned())),
        ("Path info", Some(request.path_info().into_owned())),
        ("Route", route(request)),
        ("Client", client(request)),
        ("Peer", address(request.connection().peer())),
        ("Local address", address(request.connection().local())),
        ("User", user(request, response)),
        ("Request id", id(request, response)),
    ];
    let rows = rows.into_iter();
    rows.filter_map(|(name, value)| Some((name, shown::display(value?, MAX_TEXT))))
        .collect()
}

fn route(request: &Request) -> Option<String> {
    request.extensions().get::<RouteTrail>()?.pattern()
}

fn client(request: &Request) -> Option<String> {
    let address = request.client_address()?;
    Some(match request.client_port() {
        Some(port) => std::net::SocketAddr::from((address, port)).to_string(),
        None => address.to_string(),
    })
}

fn address(address: Option<std::net::SocketAddr>) -> Option<String> {
    address.map(|address| address.to_string())
}

fn user(request: &Request, response: &Response) -> Option<String> {
    let outside = request.extensions().get::<RemoteUser>();
    let user = outside.or_else(|| response.extensions().get())?;
    Some(user.name().to_owned())
}

fn id(request: &Request, response: &Response) -> Option<String> {
    let outside = request.extensions().get::<RequestIdValue>();
    let id = outside.or_else(|| response.extensions().get())?;
    Some(id.as_str().to_owned())
}

fn query(request: &Request, redaction: &Redaction) -> ShownPairs {
    let query = request.query_string().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    ShownPairs::of(pairs.map(|(name, value)| {
        let value = match redaction.hides_parameter(&name) {
            true => HIDDEN.to_owned(),
            false => shown::bytes(value.as_bytes(), MAX_TEXT),
        };
        (shown::bytes(name.as_bytes(), MAX_TEXT), value)
    }))
}

fn headers(request: &Request, redaction: &Redaction) -> ShownPairs {
    let headers = request.headers().iter();
    ShownPairs::of(headers.map(|(name, value)| {
        let value = match value.is_sensitive() {
            true => HIDDEN.to_owned(),
            false => shown::bytes(&redaction.header(name, value.as_bytes()), MAX_TEXT),
        };
        (shown::display(name, MAX_TEXT), value)
    }))
}

impl ShownPairs {
    fn of(mut pairs: impl Iterator<Item = (String, String)>) -> ShownPairs {
        ShownPairs {
            shown: pairs.by_ref().take(MAX_PAIRS).collect(),
            more: pairs.count(),
        }
    }
}

/// Lists the components of a tree, outermost first, and counts those that are left out.
pub(super) fn components(tree: &Description) -> (Vec<ComponentFacts>, usize) {
    let mut found = Vec::new();
    let mut more = 0;
    // Not recursive: a tree may be as deep as memory allows.
    let mut pending = vec![(0, "", tree)];
    while let Some((depth, label, component)) = pending.pop() {
        match found.len() < MAX_COMPONENTS {
            true => found.push(ComponentFacts::new(depth, label, component)),
            false => more += 1,
        }
        let children: Vec<_> = component.children().collect();
        let children = children.into_iter().rev();
        pending.extend(children.map(|(label, child)| (depth + 1, label, child)));
    }
    (found, more)
}

impl ComponentFacts {
    fn new(depth: usize, label: &str, component: &Description) -> ComponentFacts {
        let text = |text: &str| shown::bytes(text.as_bytes(), MAX_OPTION);
        let options = component.options();
        ComponentFacts {
            depth,
            label: text(label),
            name: text(component.name()),
            options: options
                .map(|(name, value)| (text(name), text(&value.to_string())))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn facts(request: &Request, redaction: &Redaction) -> RequestFacts {
        RequestFacts::new(request, &Response::default(), redaction)
    }

    #[test]
    fn secrets_are_hidden() {
        let mut request = Request::get("/a?Token=s3cret&b=1&b=%3Cb%3E");
        let mut marked = HeaderValue::from_static("s3cret");
        marked.set_sensitive(true);
        request.headers_mut().insert("x-marked", marked);
        for name in ["authorization", "proxy-authorization", "cookie", "x-key"] {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static("s3cret");
            request.headers_mut().insert(name, value);
        }
        for (name, value) in [
            ("host", "localhost"),
            ("referer", "http://h/?token=s3cret"),
            ("if-match", "\"tag\""),
        ] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        let mut redaction = Redaction::new();
        redaction.hide_parameter("token");
        redaction.hide_header(HeaderName::from_static("x-key"));
        let facts = facts(&request, &redaction);
        assert_eq!(facts.line, "GET /a?Token=***&b=1&b=%3Cb%3E");
        let url = facts.rows.iter().find(|(name, _)| *name == "URL").unwrap();
        assert_eq!(url.1, "http://localhost/a?Token=***&b=1&b=%3Cb%3E");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let query = [pair("Token", "***"), pair("b", "1"), pair("b", "<b>")];
        assert_eq!(facts.query.shown, query);
        let headers = [
            pair("x-marked", "***"),
            pair("authorization", "***"),
            pair("proxy-authorization", "***"),
            pair("cookie", "***"),
            pair("x-key", "***"),
            pair("host", "localhost"),
            pair("referer", "http://h/?token=***"),
            pair("if-match", "\"tag\""),
        ];
        assert_eq!(facts.headers.shown, headers);
    }

    #[test]
    fn a_long_request_is_cut() {
        let mut request = Request::get("/");
        request.set_uri(format!("/?{}", "a=1&".repeat(1_000)).parse().unwrap());
        for number in 0..150 {
            let name = HeaderName::try_from(format!("x-{number}")).unwrap();
            let value = HeaderValue::try_from("v".repeat(5_000)).unwrap();
            request.headers_mut().insert(name, value);
        }
        let facts = facts(&request, &Redaction::new());
        assert_eq!((facts.query.shown.len(), facts.query.more), (100, 900));
        assert_eq!((facts.headers.shown.len(), facts.headers.more), (100, 50));
        assert!(facts.line.ends_with("&a= [cut, 4002 bytes in all]"));
        let (_, value) = &facts.headers.shown[99];
        assert!(value.ends_with("vv [cut, 5000 bytes in all]"));
    }

    #[test]
    fn the_page_of_head_is_that_of_get() {
        let head = Request::new(Method::HEAD, "/".parse().unwrap());
        assert_eq!(facts(&head, &Redaction::new()).line, "GET /");
    }

    #[test]
    fn a_tree_is_a_list_with_depths_that_is_bounded() {
        let tree = Description::new("R")
            .option("x", "1")
            .child("/a", Description::new("A").child("", Description::new("I")))
            .child("/b", Description::new("B"));
        let (found, more) = components(&tree);
        let found: Vec<_> = found
            .iter()
            .map(|component| (component.depth, &*component.label, &*component.name))
            .collect();
        let expected = [(0, "", "R"), (1, "/a", "A"), (2, "", "I"), (1, "/b", "B")];
        assert_eq!((&found[..], more), (&expected[..], 0));
        let deep = (0..1_000).fold(Description::new("end"), |inner, _| {
            Description::new("w").child("", inner)
        });
        let (found, more) = components(&deep);
        assert_eq!((found.len(), more), (500, 501));
    }
}

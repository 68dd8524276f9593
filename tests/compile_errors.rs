//! The compiler's messages about mistakes: the first message names what is wrong, and what to write.
//!
//! Each case is a function of one program, which `rustc` compiles against the libraries that this test is linked with.
//! The tests compare only the words of our own `#[diagnostic::on_unimplemented]`; the others are the compiler's.
#![expect(
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod compiler;
}

use self::support::compiler::errors_of;

/// The imports of a program, and the code that its cases share.
const PRELUDE: &str = r#"
#![allow(unused)]
use std::sync::{Arc, Mutex};
use enfilade::middleware::{Headers, NotFound, Router};
use enfilade::{around, around_async, Application, HttpError, IntoResponse, Pipeline, Reply, Request, Response, Server};
struct Failure;
async fn find() -> Result<&'static str, std::fmt::Error> { Ok("found") }
"#;

/// A mistake: its code, and the text that the first message must have.
struct Mistake {
    code: &'static str,
    message: &'static str,
    says: &'static str,
}

const NOT_A_RESPONSE: &str = "for `?` on any error return `Result<_, HttpError>`";
const ONE_PARAMETER: &str = "write a closure with one parameter, by value: `|request: Request| ..`";

const MISTAKES: [Mistake; 24] = [
    // A missing `?`.
    Mistake {
        code: "Application::new(|_: Request| \"x\").wrap(Headers::new().set(\"a\", \"b\"));",
        message: "is not a middleware",
        says: "a wrapper whose setter returns a `Result` needs `?`",
    },
    Mistake {
        code: "Pipeline::new().with(Headers::new().set(\"a\", \"b\"));",
        message: "is not a middleware",
        says: "a wrapper whose setter returns a `Result` needs `?`",
    },
    // A wrong error type.
    Mistake {
        code: "Application::new(async |_: Request| -> Result<&str, Failure> { Ok(\"x\") });",
        message: "`Failure` cannot be turned into a response",
        says: "an error type of your own implements `IntoResponse`",
    },
    Mistake {
        code: "Application::new(|_: Request| -> Result<&'static str, Failure> { Ok(\"x\") });",
        message: "`Result<&'static str, Failure>` cannot be turned into a response",
        says: NOT_A_RESPONSE,
    },
    Mistake {
        code: "Application::new(|_: Request| 5_u32);",
        message: "`u32` cannot be turned into a response",
        says: "a number is sent as text, `.to_string()`",
    },
    Mistake {
        code: "Application::new(async |_: Request| 5_u32);",
        message: "`u32` cannot be turned into a response",
        says: "a number is sent as text, `.to_string()`",
    },
    Mistake {
        code: "Router::new().get(\"/\", |_: Request| vec![\"a\"]);",
        message: "`Vec<&str>` cannot be turned into a response",
        says: "JSON as `Json(value)`, with the feature `json`",
    },
    Mistake {
        code: "Application::new(|_: &Request| \"x\");",
        message: "` is not an application",
        says: ONE_PARAMETER,
    },
    Mistake {
        code: "Application::new(|_: Request, _: Request| \"x\");",
        message: "` is not an application",
        says: ONE_PARAMETER,
    },
    Mistake {
        code: "Application::new(|| \"x\");",
        message: "` is not an application",
        says: ONE_PARAMETER,
    },
    Mistake {
        code: "Application::new(async || \"x\");",
        message: "` is not an application",
        says: ONE_PARAMETER,
    },
    // A boxed error.
    Mistake {
        code: "Application::new(async |_: Request| -> Result<&str, Box<dyn std::error::Error>> { Ok(find().await?) });",
        message: "`Box<dyn std::error::Error>` cannot be turned into a response",
        says: NOT_A_RESPONSE,
    },
    Mistake {
        code: "Application::new(|_: Request| -> Result<&'static str, Box<dyn std::error::Error + Send + Sync>> { Ok(\"x\") });",
        message: "`Result<&'static str, Box<dyn std::error::Error + Send + Sync>>` cannot be turned into a response",
        says: NOT_A_RESPONSE,
    },
    // An async closure with a capture that is not `Clone`.
    Mistake {
        code: "let count = Mutex::new(0); Application::new(async move |_: Request| { *count.lock().unwrap() += 1; });",
        message: "something that it captures cannot be cloned",
        says: "share it: `let value = Arc::new(value);` before the closure",
    },
    // `inner` across an await.
    Mistake {
        code: "around(\"x\", |inner, request| async move { inner.call(request).await });",
        message: "` is not a `Reply`",
        says: "write `around_async(name, async move |inner, request| ..)`",
    },
    Mistake {
        code: "around(\"x\", async |inner, request| inner.call(request).await);",
        message: "` is not a `Reply`",
        says: "write `around_async(name, async move |inner, request| ..)`",
    },
    Mistake {
        code: "around(\"x\", |inner, request| { let inner = inner.clone(); async move { inner.call(request).await } });",
        message: "` is not a `Reply`",
        says: "write `around_async(name, async move |inner, request| ..)`",
    },
    Mistake {
        code: "around(\"x\", |inner, request| \"text\");",
        message: "`&str` is not a `Reply`",
        says: "to respond without the application, write `Reply::new(..)`",
    },
    Mistake {
        code: "around_async(\"x\", async |inner, request| { find().await });",
        message: "`std::fmt::Error` cannot be turned into a response",
        says: NOT_A_RESPONSE,
    },
    // An async closure in place of a blocking one.
    Mistake {
        code: "enfilade::blocking(async |_: Request| \"x\");",
        message: "` cannot be turned into a response",
        says: "`blocking` and `around` take a closure that is not async",
    },
    // A router in place of an application.
    Mistake {
        code: "Application::new(Router::new());",
        message: "`Router` is not an application",
        says: "a `Router` becomes an application by `.build()?`",
    },
    Mistake {
        code: "NotFound::new(Router::new());",
        message: "`Router` is not an application",
        says: "a `Router` becomes an application by `.build()?`",
    },
    Mistake {
        code: "Pipeline::new().wrap(Router::new());",
        message: "`Router` is not an application",
        says: "a `Router` becomes an application by `.build()?`",
    },
    Mistake {
        code: "Server::bind(\"127.0.0.1:0\").unwrap().serve_forever(|_: Request| 5_u32);",
        message: "`u32` cannot be turned into a response",
        says: "a number is sent as text, `.to_string()`",
    },
];

/// Code that must compile, as short as it is.
const RIGHT: &str = r#"
fn right(app: Application) -> Result<(), Box<dyn std::error::Error>> {
    let (name, shared) = (String::from("x"), Arc::new(Mutex::new(0)));
    let app = Application::new({
        let (name, shared) = (name.clone(), shared.clone());
        async move |_: Request| { find().await?; *shared.lock().unwrap() += 1; Ok::<_, HttpError>(name) }
    })
    .wrap(around_async("a", async move |inner, request| {
        find().await?;
        *shared.lock().unwrap() += 1;
        Ok::<_, HttpError>(inner.call(request).await)
    }))
    .wrap(around_async("b", |inner, request| async move { inner.call(request).await }))
    .wrap(around("c", |inner, request| Ok::<_, HttpError>(inner.call(request))))
    .wrap(around("d", Application::call));
    let router = Router::new().get("/", |_: Request| async { "x" }).get("/x", &app).get("/y", app);
    Server::bind("127.0.0.1:0")?.serve_forever(router)?;
    Ok(())
}
fn main() {}
"#;

#[test]
fn the_first_message_names_the_mistake_and_the_fix() {
    let cases = MISTAKES.iter().enumerate();
    let cases = cases.map(|(at, mistake)| format!("fn mistake_{at}() {{ {} }}\n", mistake.code));
    let first_line = PRELUDE.lines().count() + 1;
    let program = format!("{PRELUDE}{}fn main() {{}}\n", cases.collect::<String>());
    let errors = errors_of(
        &program,
        &["enfilade", "serde_json"],
        &format!("{PRELUDE}{RIGHT}"),
    );
    for (at, mistake) in MISTAKES.iter().enumerate() {
        let Mistake {
            code,
            message,
            says,
        } = mistake;
        let here = errors.iter().filter(|error| error.line == first_line + at);
        let here: Vec<_> = here.collect();
        let [error] = here[..] else {
            panic!("not one error for {code}: {here:#?}, of {errors:#?}");
        };
        assert!(
            error.message.ends_with(message) || error.message.starts_with(message),
            "{code}: {error:#?}"
        );
        let notes = error.notes.iter().any(|note| note.contains(says));
        assert!(notes, "{code}: {error:#?}");
    }
}

//! An application that uses its session as its path says.

use enfilade::middleware::Session;
use enfilade::{Application, HttpError, Request};

pub(super) fn of_path() -> Application {
    Application::new(|request: Request| -> Result<String, HttpError> {
        if request.path() == "/nothing" {
            return Ok("nothing".into());
        }
        let session = Session::load_now(&request)?;
        match request.path() {
            "/set" => session.insert("foo", "bar")?,
            "/drop" => session.destroy()?,
            "/renew" => session.renew()?,
            "/clear" => session.remove("foo")?,
            _ => {}
        }
        Ok(session.get("foo")?.unwrap_or("none".into()))
    })
}

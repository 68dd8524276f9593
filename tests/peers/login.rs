//! The example `login` in a browser, which keeps its cookie.

use std::path::PathBuf;

use crate::browser::Browser;
use crate::support::process::Process;

#[test]
fn a_browser_signs_up_logs_out_and_logs_in() {
    let process = Process::example("login", &["127.0.0.1:0"]);
    let url = format!("http://{}", process.address);
    let mut browser = Browser::start("login");
    let fill = |browser: &mut Browser, name: &str, password: &str| {
        browser.type_into("[name=name]", name);
        browser.type_into("[name=password]", password);
        browser.follow("form[method=post]:not([action]) button");
    };
    browser.open(&format!("{url}/members"));
    assert_eq!(
        browser.run("location.pathname + location.search"),
        "/login?next=%2Fmembers"
    );
    browser.open(&format!("{url}/signup"));
    fill(&mut browser, "ada", "engine");
    assert_eq!(browser.run("location.pathname"), "/members");
    assert_eq!(browser.text(".success"), "Welcome, ada.");
    browser.picture(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("login-members.png"));
    // Scripts of the page do not see the cookie.
    assert_eq!(browser.run("document.cookie"), "");
    browser.reload();
    assert_eq!(
        browser.run("document.querySelectorAll('.success').length"),
        0
    );
    browser.follow("header button");
    assert_eq!(browser.text(".success"), "Goodbye.");
    assert_eq!(browser.run("location.pathname"), "/");

    browser.open(&format!("{url}/login?next=/"));
    fill(&mut browser, "ada", "wrong");
    assert_eq!(browser.text(".error"), "Wrong name or password.");
    fill(&mut browser, "ada", "engine");
    assert_eq!(browser.text(".success"), "Welcome, ada.");
    browser.open(&format!("{url}/members"));
    assert_eq!(browser.text("h1"), "Members");
}

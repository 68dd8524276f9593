//! The example `site` in a browser, on a desktop and on a phone.

use std::path::PathBuf;

use serde_json::json;

use crate::browser::Browser;
use crate::support::folder::Folder;
use crate::support::process::Process;

/// A picture of 1 pixel.
const PIXEL: &[u8] = &[
    0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0,
    0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E',
    b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

const SIZES: [(&str, u32, u32); 2] = [("desktop", 1280, 800), ("phone", 390, 844)];

fn started(name: &str) -> (Process, Browser, String) {
    let process = Process::example("site", &["127.0.0.1:0"]);
    let url = format!("http://{}", process.address);
    (process, Browser::start(name), url)
}

/// Where the pictures of pages are: `target/tmp`.
fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("site-{name}.png"))
}

#[test]
fn pages_have_their_styles_and_fit_a_desktop_and_a_phone() {
    let (_process, mut browser, url) = started("site-pages");
    for (size, width, height) in SIZES {
        browser.resize(width, height);
        for (page, heading, has_error) in [
            ("", "From the street you see the garden", false),
            ("rooms", "Rooms", false),
            ("guests", "Guest book", false),
            ("cellar", "No such room", true),
        ] {
            browser.open(&format!("{url}/{page}"));
            let name = if page.is_empty() { "house" } else { page };
            browser.picture(picture(&format!("{name}-{size}")));
            assert_eq!(browser.text("h1"), heading);
            // What the policy forbids would be an error in the console; so is the status of a page.
            let errors = browser.errors();
            assert_eq!(errors.len(), usize::from(has_error), "{page}: {errors:?}");
            let background = browser.run("getComputedStyle(document.body).backgroundColor");
            assert_eq!(background, "rgb(250, 248, 244)", "{page}");
            let broken =
                browser.run("[...document.images].filter(image => image.naturalWidth == 0).length");
            assert_eq!((broken, page), (json!(0), page));
            // Nothing is wider than the window.
            let wide =
                "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!((browser.run(wide), page), (json!(0), page));
        }
    }
}

#[test]
fn an_error_has_the_layout_of_the_site_and_leads_back() {
    let (_process, mut browser, url) = started("site-errors");
    let missing = format!("{url}/cellar/%3Cscript%3E?x");
    browser.open(&missing);
    assert_eq!(browser.statuses(&missing), [404]);
    assert_eq!(browser.text("title"), "Not Found · Villa Enfilade");
    assert_eq!(
        browser.text("main p:not(.status)"),
        "Behind /cellar/%3Cscript%3E there is only a wall."
    );
    assert_eq!(browser.text("nav a:nth-child(3)"), "Guest book");
    browser.follow("main .button");
    assert_eq!(browser.run("location.pathname"), "/");
    assert_eq!(browser.text("nav [aria-current]"), "The house");
}

#[test]
fn a_visitor_signs_the_guest_book() {
    let (_process, mut browser, url) = started("site-form");
    let folder = Folder::new("site-form");
    let (pixel, text) = (folder.0.join("pixel.png"), folder.0.join("text.png"));
    std::fs::write(&pixel, PIXEL).unwrap();
    std::fs::write(&text, "<script>alert(1)</script>").unwrap();
    let page = format!("{url}/guests");
    browser.open(&page);

    // With mistakes, the form comes back with what was written.
    browser.type_into("#name", "Ada <b>\"Lovelace\"</b>");
    browser.choose("#picture", &text);
    browser.follow("form button");
    assert_eq!(browser.statuses(&page), [422]);
    browser.picture(picture("mistakes"));
    assert_eq!(
        browser.text("[role=alert]"),
        "Nothing was written yet: please look at the marked fields."
    );
    assert_eq!(
        browser.run("[...document.querySelectorAll('.error')].map(error => error.innerText)"),
        json!(["Please write what you saw.", "This is not a PNG or a JPEG."])
    );
    assert_eq!(
        browser.run("[...document.querySelectorAll('[aria-invalid]')].map(field => field.id)"),
        json!(["text", "picture"])
    );
    assert_eq!(
        browser.run("document.querySelector('#name').value"),
        "Ada <b>\"Lovelace\"</b>"
    );

    browser.type_into("#text", "Doors in a line,\na tree at the end.");
    browser.choose("#picture", &pixel);
    browser.follow("form button");
    let signed = format!("{page}?signed");
    // Both requests have one ID, so they are found by both URLs.
    assert_eq!(browser.statuses(&page), [303, 200]);
    assert_eq!(browser.run("location.href"), json!(signed));
    browser.run(
        "new Promise(done => { const image = document.querySelector('.guest img'); \
        image.complete ? done() : image.onload = image.onerror = done })",
    );
    browser.picture(picture("signed"));
    assert_eq!(
        browser.text("[role=status]"),
        "Thank you for your visit. Your lines are in the book."
    );
    assert_eq!(browser.text(".guest h2"), "Ada <b>\"Lovelace\"</b>");
    assert_eq!(
        browser.text(".guest p"),
        "Doors in a line,\na tree at the end."
    );
    assert_eq!(
        browser.run("document.querySelector('.guest img').naturalWidth"),
        1
    );
    assert_eq!(browser.errors(), [""; 0]);

    // Loading the page again writes nothing.
    browser.reload();
    assert_eq!(browser.statuses(&signed), [200]);
    assert_eq!(browser.run("document.querySelectorAll('.guest').length"), 1);
}

#[test]
fn a_picture_is_sent_once_and_in_parts() {
    let (_process, mut browser, url) = started("site-files");
    let image = format!("{url}/doors.svg");
    browser.open(&image);
    assert_eq!(browser.statuses(&image), [200]);
    browser.reload();
    assert_eq!(browser.statuses(&image), [304]);
    assert_eq!(browser.run("document.documentElement.tagName"), "svg");

    browser.open(&url);
    let part = browser.run(
        "fetch('/doors.svg', {headers: {Range: 'bytes=0-3'}, cache: 'no-store'}).then(async response => \
         [response.status, response.headers.get('content-range').split('/')[0], await response.text()])",
    );
    assert_eq!(part, json!([206, "bytes 0-3", "<svg"]));
}

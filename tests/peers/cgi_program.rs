//! The CGI program that tests/peers/gateways.rs starts, behind a web server.

#[path = "../support/every_answer.rs"]
mod every_answer;

fn main() -> std::io::Result<()> {
    enfilade::cgi::run(every_answer::app())
}

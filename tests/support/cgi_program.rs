//! The CGI program that tests/gateways starts, behind a web server.

mod every_answer;

fn main() -> std::io::Result<()> {
    enfilade::cgi::run(every_answer::app())
}

//! Logins: whether the time says which names exist, and what a password that is remembered and a list of networks cost.

use std::hint::black_box;
use std::time::{Duration, Instant};

use enfilade::middleware::{AllowAddresses, Basic, Htpasswd, PasswordCheck};
use enfilade::{Application, Request, Response};
use http::HeaderValue;

const TRIES: usize = 1_000;

pub(crate) fn print() {
    let hash = Htpasswd::hash("a password");
    let file = Htpasswd::parse(&format!("ada:{hash}")).expect("a file");
    known_and_unknown(&file.clone().remember(Duration::ZERO));

    let bare = Application::new(|_: Request| Response::new(layers::TEXT.into()));
    let basic = bare
        .clone()
        .wrap(Basic::new("realm", file).expect("a realm"));
    let networks = (0..10_000).map(|at| format!("10.{}.{}.0/25", at / 256, at % 256));
    let networks = networks.collect::<Vec<_>>();
    let allow = bare
        .clone()
        .wrap(AllowAddresses::new(&networks).expect("networks"));
    let base = nanoseconds(&bare);
    println!(
        "a password that is remembered: {:.0} ns",
        nanoseconds(&basic) - base
    );
    println!("10,000 networks: {:.0} ns", nanoseconds(&allow) - base);
}

/// Wrong passwords of a known and of an unknown name, in turns.
fn known_and_unknown(file: &Htpasswd) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..TRIES {
        for (name, times) in [("ada", &mut known), ("eve", &mut unknown)] {
            let start = Instant::now();
            let checked = pollster::block_on(file.check(name, "wrong").wait());
            times.push(start.elapsed().as_nanos());
            assert_eq!(checked.expect("a free thread"), None);
        }
    }
    let [known, unknown] = [known, unknown].map(median);
    let ratio = unknown as f64 / known as f64;
    println!("wrong passwords: known name {known} ns, unknown {unknown} ns, ratio {ratio:.3}");
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2]
}

fn nanoseconds(app: &Application) -> f64 {
    const CALLS: u32 = 20_000;
    let credentials = HeaderValue::from_static("Basic YWRhOmEgcGFzc3dvcmQ=");
    let rounds = (0..15).map(|_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            let mut request = Request::get("/");
            request.set_client([10, 1, 2, 3].into(), None);
            request
                .headers_mut()
                .insert("authorization", credentials.clone());
            let response = black_box(pollster::block_on(app.call(request)));
            assert_eq!(response.status(), 200);
        }
        start.elapsed().as_nanos()
    });
    median(rounds.collect()) as f64 / f64::from(CALLS)
}

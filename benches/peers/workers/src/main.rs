//! Two workers: `workers shared ADDRESS` on one runtime, `workers own ADDRESS` on a runtime each, with `SO_REUSEPORT`.

use std::net::{SocketAddr, TcpListener};
use std::{future, thread};

use enfilade::{Application, Request, Server};
use socket2::{Domain, Socket, Type};

const WORKERS: usize = 2;

fn listener(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("an option");
    socket.bind(&address.into()).expect("a free address");
    socket.listen(1024).expect("a listener");
    socket.into()
}

fn server(address: SocketAddr) -> Server {
    Server::from_listener(listener(address)).expect("a server")
}

fn serve_alone(address: SocketAddr, app: Application) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let served = server(address).serve_until(app, future::pending());
        served.await.expect("no failure");
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address] = &arguments[..] else {
        panic!("workers shared | own ADDRESS");
    };
    let address: SocketAddr = address.parse().expect("an address");
    let app = Application::new(|_: Request| "Hello, world!");
    match &**kind {
        "shared" => {
            let served = server(address).workers(WORKERS).serve_forever(app);
            served.expect("no failure");
        }
        _ => thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| serve_alone(address, app.clone()));
            }
        }),
    }
}

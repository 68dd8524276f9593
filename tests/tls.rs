//! TLS of the built-in server, with certificates that the tests make.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod running;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use enfilade::{Application, Certificates, ClientCertificate, Listener, Request, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use self::support::running::Running;
use self::support::wire::PATIENCE;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A directory with a certificate authority and the files that it has signed.
struct Office {
    place: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    fn new(name: &str) -> Office {
        let place =
            std::env::temp_dir().join(format!("enfilade-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(place.join("authority.pem"), authority.pem()).unwrap();
        Office { place, authority }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.place.join(file)
    }

    /// Signs a certificate for a host, as `<file>.pem` and `<file>.key`.
    fn sign(&self, host: &str, file: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.path(&format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), der)
    }

    fn certificates(&self) -> Certificates {
        self.sign("house.example", "house");
        Certificates::load(self.path("house.pem"), self.path("house.key")).unwrap()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        roots
    }

    fn client(&self) -> ClientConfig {
        builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().unwrap()
}

/// Returns the facts of the connection that the application sees.
fn facts() -> Application {
    Application::new(|request: Request| {
        let connection = request.connection();
        let tls = connection.tls().unwrap();
        let chain: Vec<String> = tls
            .peer_certificates()
            .iter()
            .map(|der| der.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        format!(
            "{} {} {} {} {}",
            request.protocol(),
            request.scheme().as_str(),
            tls.version(),
            tls.server_name().unwrap_or("-"),
            chain.join(","),
        )
    })
}

fn serve(certificates: Certificates) -> Running {
    let listener = Listener::tcp("127.0.0.1:0").unwrap().tls(certificates);
    let server = Server::new(listener).shutdown_deadline(Duration::from_secs(1));
    Running::serve(server.header_read_timeout(Duration::from_secs(1)), facts())
}

type Connected = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: SocketAddr, config: ClientConfig, host: &str) -> Connected {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

fn ask(mut stream: Connected) -> std::io::Result<String> {
    stream.write_all(GET.as_bytes())?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let response = String::from_utf8(response).unwrap();
    Ok(response.rsplit("\r\n").next().unwrap().to_owned())
}

#[test]
fn the_application_sees_the_negotiated_facts() {
    let office = Office::new("facts");
    let running = serve(office.certificates());
    let response = ask(connect(running.address(), office.client(), "house.example")).unwrap();
    assert_eq!(response, "HTTP/1.1 https TLSv1.3 house.example ");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(office.roots())
        .with_no_client_auth();
    let response = ask(connect(running.address(), old, "house.example")).unwrap();
    assert_eq!(response, "HTTP/1.1 https TLSv1.2 house.example ");
}

#[test]
fn clients_get_the_certificate_of_the_name_that_they_ask_for() {
    let office = Office::new("names");
    let certificates = office.certificates();
    office.sign("shop.example", "shop");
    let certificates = certificates
        .for_name(
            "Shop.example",
            office.path("shop.pem"),
            office.path("shop.key"),
        )
        .unwrap();
    let running = serve(certificates);
    for host in ["house.example", "shop.example"] {
        // The client verifies the name itself.
        let response = ask(connect(running.address(), office.client(), host)).unwrap();
        assert_eq!(response, format!("HTTP/1.1 https TLSv1.3 {host} "));
    }
    let error = ask(connect(running.address(), office.client(), "other.example")).unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[test]
fn http_2_is_negotiated_if_the_client_offers_it() {
    let office = Office::new("alpn");
    let running = serve(office.certificates());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut config = office.client();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let text = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(running.address())
            .await
            .unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("house.example").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("https://house.example/")
            .body(())
            .unwrap();
        let (response, _) = sender
            .ready()
            .await
            .unwrap()
            .send_request(request, true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        body.data().await.unwrap().unwrap()
    });
    assert_eq!(text, "HTTP/2.0 https TLSv1.3 house.example ");
}

#[test]
fn clients_show_their_certificates() {
    let office = Office::new("clients");
    let (certificate, key) = office.sign("guest.example", "guest");
    let stranger = Office::new("stranger");
    let (unknown, unknown_key) = stranger.sign("guest.example", "guest");
    let with = |certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'static>| {
        builder()
            .with_root_certificates(office.roots())
            .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
            .unwrap()
    };
    let hex: String = certificate
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for wanted in [ClientCertificate::Required, ClientCertificate::Optional] {
        let certificates = office.certificates();
        let certificates = certificates.client_certificates(office.path("authority.pem"), wanted);
        let running = serve(certificates.unwrap());
        let ask = |config| ask(connect(running.address(), config, "house.example"));
        let expected = format!("HTTP/1.1 https TLSv1.3 house.example {hex}");
        assert_eq!(ask(with(&certificate, &key)).unwrap(), expected);
        assert!(ask(with(&unknown, &unknown_key)).is_err());
        let without = ask(office.client());
        match wanted {
            ClientCertificate::Optional => {
                assert_eq!(without.unwrap(), "HTTP/1.1 https TLSv1.3 house.example ");
            }
            _ => assert!(without.is_err()),
        }
    }
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    let office = Office::new("reload");
    let certificates = office.certificates();
    let running = serve(certificates.clone());
    let mut kept = connect(running.address(), office.client(), "house.example");
    kept.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut first = [0; 15];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let before = kept.conn.peer_certificates().unwrap().to_vec();

    fs::write(office.path("house.key"), "not a key").unwrap();
    let error = certificates.reload().unwrap_err().to_string();
    assert!(
        error.starts_with(&office.path("house.key").display().to_string()),
        "{error}"
    );
    let (renewed, _) = office.sign("house.example", "house");
    let seen = || {
        let mut stream = connect(running.address(), office.client(), "house.example");
        stream.write_all(GET.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 15]).unwrap();
        stream.conn.peer_certificates().unwrap().to_vec()
    };
    assert_eq!(seen(), before, "until it is told");
    certificates.reload().unwrap();
    assert_eq!(seen(), [renewed]);
    assert!(ask(kept).is_ok(), "a connection that is open goes on");
}

#[test]
fn a_client_that_does_not_shake_hands_blocks_no_other() {
    let office = Office::new("hands");
    let running = serve(office.certificates());
    let mut silent = TcpStream::connect(running.address()).unwrap();
    let mut plain = TcpStream::connect(running.address()).unwrap();
    plain.write_all(GET.as_bytes()).unwrap();
    assert!(ask(connect(running.address(), office.client(), "house.example")).is_ok());
    for stream in [&mut silent, &mut plain] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // It may be an alert, or a reset.
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP"));
    }
}

#[test]
fn an_invalid_file_is_named() {
    let office = Office::new("files");
    office.sign("a.example", "a");
    office.sign("b.example", "b");
    fs::write(office.path("empty.pem"), "").unwrap();
    for (chain, key, named) in [
        ("missing.pem", "a.key", "missing.pem"),
        ("empty.pem", "a.key", "empty.pem"),
        ("a.pem", "a.pem", "a.pem"),
        ("a.pem", "missing.key", "missing.key"),
        ("a.pem", "b.key", "b.key"),
    ] {
        let error = Certificates::load(office.path(chain), office.path(key)).unwrap_err();
        let expected = format!("{}: ", office.path(named).display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let good = Certificates::load(office.path("a.pem"), office.path("a.key")).unwrap();
    let error = good
        .clone()
        .for_name("a b", office.path("b.pem"), office.path("b.key"))
        .unwrap_err();
    assert_eq!(error.to_string(), "\"a b\" is not a host name");
    let error = good.client_certificates(office.path("empty.pem"), ClientCertificate::Required);
    assert!(error.is_err());
}
